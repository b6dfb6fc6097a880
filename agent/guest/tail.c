#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)
/** Files of the kernel and of other machines change without an event: they are looked at now and then. */
#define LOOK_MILLISECONDS 1000
/** The same where there are no events at all. */
#define POLL_MILLISECONDS 100

static _Noreturn void stop(void) { _exit(errno > 0 && errno < 256 ? errno : 255); }

static void put(const uint8_t *data, size_t size) {
  while (size > 0) {
    ssize_t count = write(STDOUT_FILENO, data, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) stop();
    data += count;
    size -= (size_t)count;
  }
}

_Noreturn void copy_run(int fd) {
  static uint8_t piece[PIECE];
  for (;;) {
    ssize_t count = read(fd, piece, sizeof piece);
    if (count > 0) {
      put(piece, (size_t)count);
    } else if (count == 0 || (errno == EIO && isatty(fd))) {
      /* A terminal whose other side is closed reads as EIO. */
      _exit(0);
    } else if (errno == EAGAIN) {
      struct pollfd readable = {.fd = fd, .events = POLLIN};
      if (poll(&readable, 1, -1) < 0 && errno != EINTR) stop();
    } else if (errno != EINTR) {
      stop();
    }
  }
}

/** What is followed at this moment, and how its changes are heard of. */
struct follow {
  struct tail *tail;
  int notify;
  int watch;
  /** Its size was seen to cover what was read. Files of the kernel claim a size of 0 and are never cut. */
  bool sized;
};

static void drain(struct follow *follow) {
  static uint8_t piece[PIECE];
  struct stat facts;
  struct tail *tail = follow->tail;
  for (;;) {
    ssize_t count = pread(tail->file, piece, sizeof piece, tail->offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) stop();
    if (count == 0) return;
    /* Before it is put: whoever gets it may cut the file at once, and the reader may be held back for long. */
    if (!follow->sized) follow->sized = fstat(tail->file, &facts) == 0 && facts.st_size >= tail->offset + count;
    put(piece, (size_t)count);
    tail->offset += count;
  }
}

/** Sends all there is, from the start again when the file has become shorter. */
static void catch_up(struct follow *follow) {
  struct stat facts;
  struct tail *tail = follow->tail;
  drain(follow);
  if (!follow->sized || fstat(tail->file, &facts) < 0 || facts.st_size >= tail->offset) return;
  tail->offset = 0;
  drain(follow);
}

static void watch_file(struct follow *follow) {
  static const uint32_t changes = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF;
  struct tail *tail = follow->tail;
  char path[32];
  if (follow->notify < 0) return;
  if (follow->watch >= 0) inotify_rm_watch(follow->notify, follow->watch);
  if (tail->directory >= 0) {
    follow->watch = inotify_add_watch(follow->notify, tail->name, changes);
    return;
  }
  snprintf(path, sizeof path, "self/fd/%d", tail->file);
  follow->watch = inotify_add_watch(follow->notify, path, changes);
}

/** Another file has the name now: the rest of the old one, then the new one from its start. */
static bool follow_name(struct follow *follow) {
  struct tail *tail = follow->tail;
  struct stat named;
  struct stat open_one;
  if (tail->directory < 0 || fstatat(tail->directory, tail->name, &named, 0) < 0) return false;
  if (fstat(tail->file, &open_one) < 0) return false;
  if (named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino) return false;
  if (!S_ISREG(named.st_mode)) return false;
  int next = openat(tail->directory, tail->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (next < 0) return false;
  catch_up(follow);
  close(tail->file);
  tail->file = next;
  tail->offset = 0;
  follow->sized = false;
  watch_file(follow);
  return true;
}

static void begin_watch(struct follow *follow) {
  struct tail *tail = follow->tail;
  follow->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  int at = tail->directory >= 0 ? tail->directory : tail->proc_fd;
  if (follow->notify < 0) return;
  if (at < 0 || fchdir(at) < 0) {
    close(follow->notify);
    follow->notify = -1;
    return;
  }
  if (tail->directory >= 0) inotify_add_watch(follow->notify, ".", IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  watch_file(follow);
}

static void await_change(const struct follow *follow) {
  static uint8_t events[4096];
  struct pollfd changed = {.fd = follow->notify, .events = POLLIN};
  bool heard = follow->notify >= 0 && follow->watch >= 0;
  if (poll(&changed, 1, heard ? LOOK_MILLISECONDS : POLL_MILLISECONDS) <= 0) return;
  while (read(follow->notify, events, sizeof events) > 0) continue;
}

_Noreturn void tail_run(struct tail *tail) {
  struct follow follow = {.tail = tail, .notify = -1, .watch = -1, .sized = tail->offset > 0};
  begin_watch(&follow);
  for (;;) {
    do catch_up(&follow);
    while (follow_name(&follow));
    await_change(&follow);
  }
}
