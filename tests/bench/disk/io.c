#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/**
 * Reads or writes a block device past the page cache and prints how long it took, in nanoseconds:
 * io DEVICE read|write sequential|random BLOCK COUNT SEED
 */

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int writing = strcmp(argv[2], "write") == 0;
  int random = strcmp(argv[3], "random") == 0;
  size_t block = strtoull(argv[4], NULL, 10);
  uint64_t count = strtoull(argv[5], NULL, 10);
  uint64_t state = strtoull(argv[6], NULL, 10);
  int fd = open(argv[1], O_RDWR | O_DIRECT);
  void *memory = NULL;
  off_t size = lseek(fd, 0, SEEK_END);
  if (fd < 0 || size <= 0 || posix_memalign(&memory, 4096, block) != 0) return 1;
  memset(memory, 0x5a, block);
  uint64_t blocks = (uint64_t)size / block;
  int64_t begin = now();
  for (uint64_t i = 0; i < count; i++) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    off_t at = (off_t)((random ? (state >> 33) % blocks : i % blocks) * block);
    ssize_t done = writing ? pwrite(fd, memory, block, at) : pread(fd, memory, block, at);
    if (done != (ssize_t)block) return 1;
  }
  if (writing && fsync(fd) < 0) return 1;
  printf("%lld\n", (long long)(now() - begin));
  return 0;
}
