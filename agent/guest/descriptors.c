#include "descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void descriptors_close(unsigned first, unsigned last) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, last, 0) == 0) return;
#endif
  struct rlimit limit = {.rlim_cur = 1024};
  getrlimit(RLIMIT_NOFILE, &limit);
  unsigned end = limit.rlim_cur > 65536 ? 65536 : (unsigned)limit.rlim_cur;
  for (unsigned fd = first; fd <= last && fd < end; fd++) close((int)fd);
}

void descriptors_fill_standard(void) {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR);
    /* Before there is a /dev something that can be neither read nor written does as well. */
    if (fd < 0) fd = open("/", O_PATH);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) close(fd);
}

bool descriptors_place(int *fds, int count) {
  for (int i = 0; i < count; i++) {
    if (fds[i] < 0 || fds[i] >= count) continue;
    fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, count);
    if (fds[i] < 0) return false;
  }
  for (int i = 0; i < count; i++) {
    if (fds[i] < 0) close(i);
    else if (dup2(fds[i], i) < 0) return false;
  }
  return true;
}
