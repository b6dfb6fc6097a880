#include "tsc.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/**
 * The rate of this machine's time stamp counter in kHz, measured against CLOCK_MONOTONIC. An emulated guest sees
 * this counter, and its own way of measuring it goes wrong when the host is busy.
 */

#define TRIES 8
#define SPAN_NS 20000000

#if defined __x86_64__

struct sample {
  uint64_t ticks;
  int64_t ns;
};

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Of several readings the one whose clock calls lie closest together: nothing came between them. */
static struct sample sample_now(void) {
  struct sample best = {0, 0};
  int64_t least = INT64_MAX;
  for (int i = 0; i < TRIES; i++) {
    int64_t before = now_ns();
    uint64_t ticks = __builtin_ia32_rdtsc();
    int64_t after = now_ns();
    if (after - before >= least) continue;
    least = after - before;
    best = (struct sample){ticks, before + (after - before) / 2};
  }
  return best;
}

int tsc_command(int argc, char **argv) {
  (void)argv;
  if (argc != 0) {
    fputs("usage: provium-helper tsc\n", stderr);
    return 2;
  }
  struct timespec pause = {.tv_sec = 0, .tv_nsec = SPAN_NS};
  struct sample first = sample_now();
  while (nanosleep(&pause, &pause) < 0) {
  }
  struct sample last = sample_now();
  double khz = (double)(last.ticks - first.ticks) * 1e6 / (double)(last.ns - first.ns);
  printf("%" PRIu64 "\n", (uint64_t)(khz + 0.5));
  return fflush(stdout) == 0 ? 0 : 1;
}

#else

int tsc_command(int argc, char **argv) {
  (void)argc;
  (void)argv;
  fputs("provium-helper: this processor has no time stamp counter\n", stderr);
  return 1;
}

#endif
