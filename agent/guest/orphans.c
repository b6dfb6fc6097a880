#include "orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/** Turns of a millisecond without the end of any child: what is left then is uninterruptible, and dies when it can. */
#define PATIENCE 2000

void orphans_adopt(void) { prctl(PR_SET_CHILD_SUBREAPER, 1); }

/** False where the kernel does not list children. */
static bool kill_children(int proc_fd) {
  char path[64];
  snprintf(path, sizeof path, "self/task/%ld/children", (long)getpid());
  int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
  FILE *list = fd >= 0 ? fdopen(fd, "r") : NULL;
  if (list == NULL) {
    if (fd >= 0) close(fd);
    return false;
  }
  for (long pid = 0; fscanf(list, "%ld", &pid) == 1;) kill((pid_t)pid, SIGKILL);
  fclose(list);
  return true;
}

/** Reaps one child. False when there is none, or none ends. */
static bool reap_one(void) {
  for (int turn = 0; turn < PATIENCE; turn++) {
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    if (pid > 0) return true;
    if (pid < 0 && errno != EINTR) return false;
    poll(NULL, 0, 1);
  }
  return false;
}

void orphans_end(int proc_fd) {
  /* Those of a child that has ended are ours now: they come with the next list. */
  while (kill_children(proc_fd) && reap_one()) continue;
}
