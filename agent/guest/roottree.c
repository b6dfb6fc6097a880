#include "roottree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "newroot.h"

/** The name under which QEMU offers the tree: src/vmm/root-tree.ts. */
#define TAG "provium-root"
#define TREE "/provium/tree"
#define WRITTEN "/provium/written"

static int complain(const char *what, const char *type) {
  /* ENODEV of mount(2): a file system that the kernel does not have. */
  const char *why = errno == ENODEV ? "this kernel has no such file system" : strerror(errno);
  fprintf(stderr, "provium: cannot mount %s (%s): %s\n", what, type, why);
  return -1;
}

int roottree_mount(const char *type) {
  static const char overlay[] = "lowerdir=" TREE ",upperdir=" WRITTEN "/upper,workdir=" WRITTEN "/work";
  static const char *const points[] = {"/dev", "/proc", "/sys", "/run", "/tmp"};
  /* Large messages and no cache of data but that of mapped files: the tree may change under the guest. */
  const char *options = strcmp(type, "9p") == 0 ? "trans=virtio,version=9p2000.L,msize=524288,cache=mmap" : NULL;
  mkdir("/provium", 0755);
  mkdir(TREE, 0755);
  mkdir(WRITTEN, 0755);
  mkdir(NEWROOT, 0755);
  if (mount(TAG, TREE, type, MS_RDONLY, options) != 0) return complain("the tree of the host", type);
  if (mount("tmpfs", WRITTEN, "tmpfs", 0, "mode=0755") != 0) return complain("memory for what is written", "tmpfs");
  mkdir(WRITTEN "/upper", 0755);
  mkdir(WRITTEN "/work", 0755);
  if (mount("overlay", NEWROOT, "overlay", 0, overlay) != 0) return complain("what is written over the tree", "overlay");
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
    char path[sizeof NEWROOT + 8];
    snprintf(path, sizeof path, NEWROOT "%s", points[i]);
    mkdir(path, 0755);
  }
  if (mount("tmpfs", NEWROOT "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return complain("/run", "tmpfs");
  if (mount("tmpfs", NEWROOT "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0) return complain("/tmp", "tmpfs");
  return 0;
}
