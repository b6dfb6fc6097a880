#include "oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void oom_score_adjust(int proc_fd, enum oom_score score) {
  char text[16];
  if (proc_fd < 0) return;
  int fd = openat(proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  int length = snprintf(text, sizeof text, "%d", (int)score);
  if (write(fd, text, (size_t)length) < 0) {
    /* An unprivileged agent cannot protect itself: it works all the same. */
  }
  close(fd);
}
