/* The least user land: loads the modules that lie there, says that it runs, and waits to be killed. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Modules are /0, /1, ... in the order in which they load. */
static int load_modules(void) {
  char path[16];
  for (int n = 0;; n++) {
    snprintf(path, sizeof path, "/%d", n);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return 0;
    if (syscall(SYS_finit_module, fd, "", 0) < 0) return -1;
    close(fd);
  }
}

int main(void) {
  static const char line[] = "first line of user space\n";
  if (load_modules() < 0 || write(STDOUT_FILENO, line, sizeof line - 1) < 0) return 1;
  for (;;) pause();
}
