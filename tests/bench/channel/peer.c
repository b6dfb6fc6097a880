/**
 * The floor that the agent is compared with: one blocking loop over the channel that does nothing but what is
 * asked for. Frames are a 4-byte big-endian length and a body; the first byte of the body says what to do:
 *
 *   E…            answers with the same frame
 *   H…            the same, after a second process has had it: what two address spaces cost
 *   X path        fork, execve, wait; answers with one byte
 *   S…            takes the frame and says nothing
 *   F             answers with one byte, when everything before has been read
 *   G n32 size32  sends n frames of that size
 *
 * usage: peer --fd N | peer --port NAME (a virtio-serial port of the guest that this runs in)
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT ((size_t)16 * 1024 * 1024)
#define READ_SIZE ((size_t)256 * 1024)

static uint8_t *frame;
static uint8_t *input;
static size_t input_start;
static size_t input_end;
/** The socket to the second process, once there is one. */
static int mirror = -1;

static int read_all(int fd, void *target, size_t size) {
  uint8_t *at = target;
  while (size > 0) {
    size_t there = input_end - input_start;
    if (there > 0) {
      size_t part = there < size ? there : size;
      memcpy(at, input + input_start, part);
      input_start += part;
      at += part;
      size -= part;
      continue;
    }
    input_start = input_end = 0;
    /* The rest of a large body goes straight to its place. */
    uint8_t *into = size >= READ_SIZE ? at : input;
    ssize_t count = read(fd, into, size >= READ_SIZE ? size : READ_SIZE);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    if (into == at) {
      at += count;
      size -= (size_t)count;
    } else input_end = (size_t)count;
  }
  return 0;
}

static int write_all(int fd, const uint8_t *at, size_t size) {
  while (size > 0) {
    ssize_t count = write(fd, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return -1;
    at += count;
    size -= (size_t)count;
  }
  return 0;
}

static uint32_t load(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 24);
  at[1] = (uint8_t)(value >> 16);
  at[2] = (uint8_t)(value >> 8);
  at[3] = (uint8_t)value;
}

static int answer(int fd, uint8_t byte) {
  uint8_t reply[5] = {0, 0, 0, 1, byte};
  return write_all(fd, reply, sizeof reply);
}

static int run(int fd, const char *path) {
  char *arguments[] = {(char *)path, NULL};
  char *environment[] = {NULL};
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    execve(path, arguments, environment);
    _exit(127);
  }
  if (pid < 0 || waitpid(pid, &status, 0) < 0) return -1;
  return answer(fd, (uint8_t)WEXITSTATUS(status));
}

/** A process that gives back each byte it gets. Returns our end of the socket pair to it. */
static int open_mirror(void) {
  int ends[2];
  uint8_t byte = 0;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    while (read(ends[1], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1) continue;
    _exit(0);
  }
  close(ends[1]);
  return pid < 0 ? -1 : ends[0];
}

static int hop(void) {
  uint8_t byte = 0;
  if (mirror < 0) mirror = open_mirror();
  return mirror >= 0 && write(mirror, &byte, 1) == 1 && read(mirror, &byte, 1) == 1 ? 0 : -1;
}

static int give(int fd, uint32_t count, uint32_t size) {
  memset(frame, 'D', size + 4);
  store(frame, size);
  while (count-- > 0) {
    if (write_all(fd, frame, size + 4) < 0) return -1;
  }
  return 0;
}

static int serve(int fd) {
  for (;;) {
    if (read_all(fd, frame, 4) < 0) return 0;
    uint32_t size = load(frame);
    if (size < 1 || size > LIMIT || read_all(fd, frame + 4, size) < 0) return 1;
    int result = 0;
    frame[4 + size] = 0;
    switch (frame[4]) {
      case 'E': result = write_all(fd, frame, size + 4); break;
      case 'H': result = hop() < 0 ? -1 : write_all(fd, frame, size + 4); break;
      case 'X': result = run(fd, (const char *)frame + 5); break;
      case 'S': break;
      case 'F': result = answer(fd, 'F'); break;
      case 'G': result = give(fd, load(frame + 5), load(frame + 9)); break;
      default: return 1;
    }
    if (result < 0) return 1;
  }
}

/** The device of the port with that name, from /sys/class/virtio-ports/NAME_OF_DEVICE/name. */
static int open_port(const char *name) {
  static const char directory[] = "/sys/class/virtio-ports";
  DIR *ports = opendir(directory);
  struct dirent *entry;
  while (ports != NULL && (entry = readdir(ports)) != NULL) {
    char path[512];
    char text[128] = {0};
    snprintf(path, sizeof path, "%s/%s/name", directory, entry->d_name);
    int fd = open(path, O_RDONLY);
    if (fd < 0) continue;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0) continue;
    text[strcspn(text, "\n")] = 0;
    if (strcmp(text, name) != 0) continue;
    snprintf(path, sizeof path, "/dev/%s", entry->d_name);
    return open(path, O_RDWR);
  }
  return -1;
}

int main(int argc, char **argv) {
  frame = malloc(LIMIT + 8);
  input = malloc(READ_SIZE);
  if (argc != 3 || frame == NULL || input == NULL) return 2;
  int fd = strcmp(argv[1], "--fd") == 0 ? atoi(argv[2]) : open_port(argv[2]);
  if (fd < 0) {
    perror("peer");
    return 1;
  }
  return serve(fd);
}
