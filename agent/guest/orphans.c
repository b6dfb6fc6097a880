#include "orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

void orphans_end(int proc_fd) {
  for (;;) {
    if (!kill_children(proc_fd)) return;
    /* Those of a child that has ended are ours now: they come with the next list. */
    if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
  }
}
