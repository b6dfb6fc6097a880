/**
 * `newroot DIRECTORY MODE`: what the wrapper does to a guest's root, done in a mount namespace of our own, in a root that
 * begins as an empty file system in memory. MODE: a type of file system to be laid over (roottree.h), or `disk` for one
 * whose disk holds nothing (rootdisk.h). Says on standard output what it finds then.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "newroot.h"
#include "rootdisk.h"
#include "roottree.h"
#include "userns.h"

#define OVERLAYFS_MAGIC 0x794c7630

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 2;
}

static int put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  close(fd);
  return written == (ssize_t)strlen(text) ? 0 : -1;
}

/** The old root: mount points, and the disk of the profile as /sys and /dev would show it. */
static int furnish(void) {
  static const char *const directories[] = {"/dev", "/proc", "/sys", "/sys/block", "/sys/block/fake", "/sys/block/fake/fake1"};
  for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
    if (mkdir(directories[i], 0755) < 0) return -1;
  }
  if (put("/sys/block/fake/serial", "@root\n") < 0 || put("/proc/filesystems", "nodev\ttmpfs\n\tnosuchfs\n") < 0) return -1;
  if (put("/dev/fake", "") < 0 || put("/dev/fake1", "") < 0) return -1;
  return mount("/dev", "/dev", NULL, MS_BIND, NULL);
}

static void report(void) {
  struct statfs facts;
  int entries = 0;
  if (statfs("/", &facts) == 0 && (unsigned long)facts.f_type == OVERLAYFS_MAGIC) puts("overlay");
  if (put("/written", "1") == 0) puts("writable");
  if (access("/dev/fake", F_OK) == 0) puts("dev moved along");
  DIR *run = opendir("/run");
  while (run != NULL && readdir(run) != NULL) entries++;
  if (run != NULL) closedir(run);
  if (entries == 2) puts("run empty");
  if (access("/provium", F_OK) < 0) puts("old root hidden");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (!userns_unshare(CLONE_NEWNS)) return fail("unshare");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return fail("private");
  if (mount("tmpfs", argv[1], "tmpfs", 0, NULL) < 0) return fail("tmpfs");
  if (chdir(argv[1]) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) return fail("root");
  if (chdir("/") < 0 || furnish() < 0) return fail("furnish");
  if (strcmp(argv[2], "disk") == 0) return rootdisk_mount("@root") == 0 ? 0 : 1;
  if (roottree_mount(argv[2]) != 0) return 1;
  if (newroot_enter() != 0) return 1;
  report();
  fflush(stdout);
  return 0;
}
