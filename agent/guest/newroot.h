#ifndef PROVIUM_NEWROOT_H
#define PROVIUM_NEWROOT_H

/** Where a file system is mounted that is to become the root: rootdisk.h, roottree.h. */
#define NEWROOT "/provium/root"

/**
 * Makes what is mounted on NEWROOT the root, the way switch_root does; what is mounted on /dev, /proc and /sys moves
 * along. 0, or -1 after it has said on standard error what is wrong; then the old root is still there.
 */
int newroot_enter(void);

#endif
