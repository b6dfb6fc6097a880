#include "conduit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
/** What an unprivileged user may have (/proc/sys/fs/pipe-max-size). */
#define WANTED_BYTES (1024 * 1024)

void conduit_open(struct conduit *conduit) {
  int ends[2];
  *conduit = (struct conduit){.in = -1, .out = -1};
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return;
  int bytes = fcntl(ends[1], F_SETPIPE_SZ, WANTED_BYTES);
  if (bytes < 0) bytes = fcntl(ends[1], F_GETPIPE_SZ);
  *conduit = (struct conduit){.in = ends[1], .out = ends[0], .pages = bytes < 0 ? 0 : (size_t)bytes / PAGE};
}

void conduit_close(struct conduit *conduit) {
  if (conduit->in >= 0) close(conduit->in);
  if (conduit->out >= 0) close(conduit->out);
  *conduit = (struct conduit){.in = -1, .out = -1};
}

static void empty(struct conduit *conduit) {
  char nothing[PAGE];
  while (conduit->held > 0) {
    ssize_t n = read(conduit->out, nothing, sizeof nothing);
    if (n < 0 && errno == EINTR) continue;
    conduit->held = n <= 0 ? 0 : conduit->held - (size_t)n;
  }
}

bool conduit_fits(const struct conduit *conduit, uint64_t offset, size_t size) {
  return (offset % PAGE + size + PAGE - 1) / PAGE <= conduit->pages;
}

int conduit_load(struct conduit *conduit, int file, uint64_t offset, size_t size) {
  int error = 0;
  while (conduit->held < size && error == 0) {
    off_t at = (off_t)(offset + conduit->held);
    ssize_t n = splice(file, &at, conduit->in, NULL, size - conduit->held, 0);
    if (n > 0) conduit->held += (size_t)n;
    /* The file has been truncated under us. */
    else if (n == 0) error = EIO;
    else if (errno != EINTR) error = errno;
  }
  if (error != 0) empty(conduit);
  return error;
}

ssize_t conduit_send(struct conduit *conduit, int socket) {
  ssize_t n = splice(conduit->out, NULL, socket, NULL, conduit->held, SPLICE_F_NONBLOCK);
  if (n > 0) conduit->held -= (size_t)n;
  return n;
}

/** Some of what it holds to the file by way of memory, for file systems that take no pages. */
static ssize_t copy_out(struct conduit *conduit, int file, off_t at) {
  static uint8_t piece[64 * 1024];
  ssize_t size = read(conduit->out, piece, conduit->held < sizeof piece ? conduit->held : sizeof piece);
  for (ssize_t done = 0; done < size;) {
    ssize_t n = pwrite(file, piece + done, (size_t)(size - done), at + done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      conduit->held -= (size_t)size;
      return -1;
    }
    done += n;
  }
  return size;
}

static int pour(struct conduit *conduit, int file, uint64_t offset) {
  while (conduit->held > 0) {
    off_t at = (off_t)offset;
    ssize_t n = splice(conduit->out, NULL, file, &at, conduit->held, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL) n = copy_out(conduit, file, at);
    if (n < 0) return errno;
    if (n == 0) return EIO;
    conduit->held -= (size_t)n;
    offset += (uint64_t)n;
  }
  return 0;
}

int conduit_store(struct conduit *conduit, int socket, int file, uint64_t offset, size_t size, size_t *taken) {
  int error = 0;
  *taken = 0;
  while (*taken < size && error == 0) {
    ssize_t n = splice(socket, NULL, conduit->in, NULL, size - *taken, SPLICE_F_NONBLOCK);
    if (n < 0 && errno == EINTR) continue;
    /* This host's sockets hand no pages on: nothing fits any more. */
    if (n < 0 && errno != EAGAIN) conduit->pages = 0;
    if (n <= 0) break;
    conduit->held = (size_t)n;
    error = pour(conduit, file, offset + *taken);
    *taken += (size_t)n;
  }
  if (error != 0) empty(conduit);
  return error;
}
