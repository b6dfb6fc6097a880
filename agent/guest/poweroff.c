#include "poweroff.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <unistd.h>

void power_off_now(int proc_fd) {
  reboot(RB_POWER_OFF);
  if (proc_fd < 0) return;
  int fd = openat(proc_fd, "sysrq-trigger", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "o", 1) < 0) {
    /* Nothing is left to try. */
  }
  close(fd);
}
