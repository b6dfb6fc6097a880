#include "readonly.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "userns.h"

/* mount_setattr(2), Linux 5.12: older headers have neither the structure nor the number. */
struct attributes {
  uint64_t set;
  uint64_t clear;
  uint64_t propagation;
  uint64_t userns_fd;
};
#define MOUNT_SETATTR 442
#define RECURSIVE 0x8000
#define READ_ONLY 1

static int complain(const char *what) {
  fprintf(stderr, "provium-helper readonly: %s: %s\n", what, errno == ENOSYS ? "needs Linux 5.12" : strerror(errno));
  return 1;
}

int readonly_command(int argc, char **argv) {
  struct attributes all = {.set = READ_ONLY, .propagation = MS_PRIVATE};
  int first = argc > 0 && strcmp(argv[0], "--") == 0 ? 1 : 0;
  if (first >= argc) {
    fputs("usage: provium-helper readonly [--] PROGRAM ARGUMENTS...\n", stderr);
    return 2;
  }
  pid_t parent = getppid();
  if (!userns_unshare(CLONE_NEWNS)) return complain("a mount namespace of its own");
  if (syscall(MOUNT_SETATTR, AT_FDCWD, "/", RECURSIVE, &all, sizeof all) < 0) return complain("a tree that is only read");
  /* A change of credentials has undone it: prctl(2). */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) return complain("the end of the parent");
  execv(argv[first], argv + first);
  complain(argv[first]);
  return 127;
}
