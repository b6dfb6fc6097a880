#include "newroot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/** Where nothing is mounted (provium.mount=0) there is nothing to say: EINVAL of mount(2). */
static void move_along(const char *from, const char *to) {
  if (mount(from, to, NULL, MS_MOVE, NULL) == 0) return;
  if (errno != EINVAL) fprintf(stderr, "provium: cannot move %s to the new root: %s\n", from, strerror(errno));
  umount2(from, MNT_DETACH);
}

int newroot_enter(void) {
  move_along("/dev", NEWROOT "/dev");
  move_along("/proc", NEWROOT "/proc");
  move_along("/sys", NEWROOT "/sys");
  if (chdir(NEWROOT) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 && chdir("/") == 0) return 0;
  fprintf(stderr, "provium: cannot make " NEWROOT " the root: %s\n", strerror(errno));
  return -1;
}
