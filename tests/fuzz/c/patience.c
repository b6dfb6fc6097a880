#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

/**
 * Ends a target that burns the processor's time on one input. libFuzzer's own limit goes by the clock on the wall,
 * which a busy machine turns while the target stands. Wraps the target (-Wl,--wrap=LLVMFuzzerTestOneInput).
 */

/** An input may take between once and twice as long. */
#define PATIENCE_SECONDS 10

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile sig_atomic_t inputs;
static volatile sig_atomic_t seen;

static void look(int number) {
  (void)number;
  /* libFuzzer keeps the input of an abort. */
  if (inputs == seen) abort();
  seen = inputs;
}

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct itimerval every = {{.tv_sec = PATIENCE_SECONDS}, {.tv_sec = PATIENCE_SECONDS}};
  if (inputs == 0) {
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
  }
  inputs = inputs == SIG_ATOMIC_MAX ? 1 : inputs + 1;
  return __real_LLVMFuzzerTestOneInput(data, size);
}
