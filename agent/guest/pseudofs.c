#include "pseudofs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

const struct pseudofs pseudofs_proc = {"proc", "/proc", NULL};
const struct pseudofs pseudofs_sys = {"sysfs", "/sys", NULL};
const struct pseudofs pseudofs_security = {"securityfs", "/sys/kernel/security", NULL};
const struct pseudofs pseudofs_dev = {"devtmpfs", "/dev", "mode=0755"};

static unsigned long magic_of(const struct pseudofs *fs) {
  if (strcmp(fs->type, "proc") == 0) return 0x9fa0;
  if (strcmp(fs->type, "sysfs") == 0) return 0x62656572;
  if (strcmp(fs->type, "securityfs") == 0) return 0x73636673;
  return 0;
}

/** devtmpfs looks like any tmpfs: there a mount point of whatever kind will do. */
static bool present(const struct pseudofs *fs) {
  struct statfs facts;
  struct stat here;
  struct stat root;
  if (magic_of(fs) != 0) return statfs(fs->path, &facts) == 0 && (unsigned long)facts.f_type == magic_of(fs);
  return stat(fs->path, &here) == 0 && stat("/", &root) == 0 && here.st_dev != root.st_dev;
}

static unsigned long flags_of(const struct pseudofs *fs) {
  unsigned long flags = MS_NOSUID | MS_NOEXEC;
  return fs == &pseudofs_dev ? MS_NOSUID : flags | MS_NODEV;
}

enum mounted pseudofs_mount(const struct pseudofs *fs) {
  if (present(fs)) return MOUNT_PRESENT;
  mkdir(fs->path, 0755);
  if (mount(fs->type, fs->path, fs->type, flags_of(fs), fs->options) == 0) return MOUNT_DONE;
  return errno == EBUSY ? MOUNT_PRESENT : MOUNT_FAILED;
}

int pseudofs_open(const struct pseudofs *fs) {
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  if (present(fs)) return open(fs->path, flags);
  bool made = mkdir(fs->path, 0755) == 0;
  int fd = -1;
  if (mount(fs->type, fs->path, fs->type, flags_of(fs), fs->options) == 0) {
    fd = open(fs->path, flags);
    umount2(fs->path, MNT_DETACH);
  }
  if (made) rmdir(fs->path);
  return fd;
}
