#include "exec.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity.h"
#include "signals.h"

/** As the shell has it: 127 not found, 126 found but not executable, 125 our own failure. */
enum { STATUS_OWN = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static int complain(const char *what, const char *why, int status) {
  fprintf(stderr, "provium-helper exec: %s: %s\n", what, why);
  return status;
}

int exec_command(int argc, char **argv) {
  long parent = 0;
  int death = SIGKILL;
  int first = 0;
  if (first + 1 < argc && strcmp(argv[first], "--parent") == 0) {
    char *end = NULL;
    parent = strtol(argv[first + 1], &end, 10);
    if (*end != '\0' || parent <= 0) return complain("--parent", "expected a process id", STATUS_OWN);
    first += 2;
  }
  if (first < argc && strcmp(argv[first], "--ask") == 0) {
    death = SIGTERM;
    first++;
  }
  int batch = 0;
  if (first < argc && strcmp(argv[first], "--batch") == 0) {
    batch = 1;
    first++;
  }
  if (first + 1 < argc && strcmp(argv[first], "--as") == 0) {
    if (!identity_take(argv[first + 1])) return complain("--as", strerror(errno), STATUS_OWN);
    first += 2;
  }
  if (first < argc && strcmp(argv[first], "--") == 0) first++;
  if (first >= argc)
    return complain("usage", "exec [--parent PID] [--ask] [--batch] [--as UID:GID,...] [--] PROGRAM ARGUMENTS...",
                    STATUS_OWN);

  /* After the identity: a change of credentials clears it, prctl(2). */
  if (prctl(PR_SET_PDEATHSIG, death) < 0) return complain("prctl", strerror(errno), STATUS_OWN);
  /* A parent that ended before the prctl will not be missed by the kernel any more. */
  if (parent > 0 && getppid() != (pid_t)parent) return complain("parent", "has ended already", STATUS_OWN);
  if (batch) {
    /* Advice only: a machine computes for long and may give way to whoever waits for an answer (sched(7)). By its
       number, because musl's sched_setscheduler only returns ENOSYS. */
    struct sched_param none = {.sched_priority = 0};
    (void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
  }
  reset_signals();
  execvp(argv[first], argv + first);
  int status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
  return complain(argv[first], strerror(errno), status);
}
