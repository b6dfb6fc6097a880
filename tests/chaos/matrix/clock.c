/**
 * Preloaded into a process (LD_PRELOAD), it adds seconds to the wall clock that the process reads: those that stand in
 * the file $CHAOS_CLOCK, an array of int64 by process id modulo its length. Monotonic clocks are left alone, as a host's
 * own clock jump leaves them alone.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 65536

static const volatile int64_t *offsets;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("CHAOS_CLOCK");
  int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void *memory = mmap(NULL, SLOTS * sizeof *offsets, PROT_READ, MAP_SHARED, fd, 0);
  if (memory != MAP_FAILED) offsets = memory;
  close(fd);
}

static int64_t offset(void) { return offsets == NULL ? 0 : offsets[getpid() % SLOTS]; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = (int)syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
  return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *into) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (into != NULL) *into = precise.tv_sec;
  return precise.tv_sec;
}
