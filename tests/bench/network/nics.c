/**
 * Network cards for the bench, speaking as QEMU's stream netdev does: each frame behind its length in four bytes,
 * one write a frame. Descriptor 3 is one end, 4 the other.
 *
 *   nics flow SIZE FRAMES   sends FRAMES frames from 3 and receives them at 4, a window under way; prints seconds
 *   nics pong COUNT         a frame of 64 bytes there and back, one at a time; prints the nanoseconds of each round
 *   nics copy               the floor: carries bytes between 3 and 4, both ways, and does nothing else
 *   nics tap flow|pong ...  the same on TAPs, which take and give one frame a time without its length, once they are heard
 */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { A = 3, B = 4, LARGEST = 1 << 17, WINDOW_BYTES = 256 * 1024, MOST_FRAMES = 256, TYPE = 12 };

/** Bytes of the length before each frame: 4 on a stream, none on a TAP. */
static size_t prefix = 4;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void write_all(int fd, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("write");
    bytes += n;
    size -= (size_t)n;
  }
}

/** Reads whatever is there and counts the whole frames. */
struct receiver {
  uint8_t buffer[2 * LARGEST];
  size_t there;
};

static unsigned receive(struct receiver *receiver, int fd) {
  ssize_t n = read(fd, receiver->buffer + receiver->there, LARGEST);
  if (n <= 0) fail("read");
  /* A bridge of the kernel's says things of its own. */
  if (prefix == 0) return n > TYPE + 1 && receiver->buffer[TYPE] == 0x88 && receiver->buffer[TYPE + 1] == 0xb5;
  receiver->there += (size_t)n;
  unsigned frames = 0;
  size_t at = 0;
  while (receiver->there - at >= prefix) {
    const uint8_t *p = receiver->buffer + at;
    size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (receiver->there - at - prefix < size) break;
    at += prefix + size;
    frames++;
  }
  memmove(receiver->buffer, receiver->buffer + at, receiver->there - at);
  receiver->there -= at;
  return frames;
}

static size_t make_frame(uint8_t *frame, size_t size) {
  static const uint8_t header[14] = {0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x88, 0xb5};
  memset(frame, 0x5a, prefix + size);
  for (size_t i = 0; i < prefix; i++) frame[i] = (uint8_t)(size >> 8 * (prefix - 1 - i));
  memcpy(frame + prefix, header, sizeof header);
  return prefix + size;
}

/** A port of the kernel's bridge forwards a moment after it is up: sends until something comes, then takes all of it. */
static void wake(void) {
  static uint8_t frame[LARGEST];
  static struct receiver receiver;
  size_t bytes = make_frame(frame, 64);
  struct pollfd come = {.fd = B, .events = POLLIN};
  do {
    write_all(A, frame, bytes);
  } while (poll(&come, 1, 10) == 0 || receive(&receiver, B) == 0);
  while (poll(&come, 1, 50) > 0) receive(&receiver, B);
}

static int flow(size_t size, long frames) {
  static uint8_t frame[LARGEST];
  static struct receiver receiver;
  size_t bytes = make_frame(frame, size);
  /* Under way at most; the receiver tells of every fourth part of it. */
  long window = WINDOW_BYTES / (long)bytes > MOST_FRAMES ? MOST_FRAMES : WINDOW_BYTES / (long)bytes;
  if (window < 4) window = 4;
  long part = window / 4;
  int credit[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, credit) < 0) fail("socketpair");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    long got = 0;
    for (long told = 0; got < frames;) {
      got += receive(&receiver, B);
      for (; got - told >= part; told += part) write_all(credit[1], frame, 1);
    }
    _exit(0);
  }
  int64_t start = now_ns();
  long acknowledged = 0;
  uint8_t tokens[64];
  for (long sent = 0; sent < frames; sent++) {
    while (sent - acknowledged >= window) acknowledged += part * read(credit[0], tokens, sizeof tokens);
    write_all(A, frame, bytes);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) fail("receiver");
  printf("%.9f\n", (double)(now_ns() - start) / 1e9);
  return 0;
}

static int pong(long count) {
  static uint8_t frame[LARGEST];
  static struct receiver receiver;
  size_t bytes = make_frame(frame, 64);
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    for (long i = 0; i < count; i++) {
      while (receive(&receiver, B) == 0) {
      }
      memcpy(frame + prefix, (uint8_t[]){0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2}, 12);
      write_all(B, frame, bytes);
    }
    _exit(0);
  }
  for (long i = 0; i < count; i++) {
    int64_t start = now_ns();
    write_all(A, frame, bytes);
    while (receive(&receiver, A) == 0) {
    }
    printf("%lld\n", (long long)(now_ns() - start));
  }
  waitpid(child, NULL, 0);
  return 0;
}

static int copy(void) {
  static uint8_t buffer[LARGEST];
  struct pollfd fds[2] = {{.fd = A, .events = POLLIN}, {.fd = B, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 2, -1) < 0) fail("poll");
    for (int i = 0; i < 2; i++) {
      if (fds[i].revents == 0) continue;
      ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n <= 0) return 0;
      write_all(fds[1 - i].fd, buffer, (size_t)n);
    }
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "tap") == 0) {
    prefix = 0;
    wake();
    argc--;
    argv++;
  }
  if (argc == 4 && strcmp(argv[1], "flow") == 0) return flow(strtoul(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
  if (argc == 3 && strcmp(argv[1], "pong") == 0) return pong(strtol(argv[2], NULL, 10));
  if (argc == 2 && strcmp(argv[1], "copy") == 0) return copy();
  fprintf(stderr, "usage: nics flow SIZE FRAMES | pong COUNT | copy\n");
  return 2;
}
