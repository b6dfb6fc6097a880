#ifndef PROVIUM_NEWROOT_H
#define PROVIUM_NEWROOT_H

/**
 * Makes the file system on the disk of that serial number the root, the way switch_root does: the disk itself or the
 * first of its partitions that holds an init. What is mounted on /dev, /proc and /sys moves along. Waits a bounded
 * time for the disk. 0, or -1 after it has said on standard error what is wrong; then the old root is still there.
 */
int newroot_enter(const char *serial);

#endif
