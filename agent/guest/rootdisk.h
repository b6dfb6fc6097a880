#ifndef PROVIUM_ROOTDISK_H
#define PROVIUM_ROOTDISK_H

/**
 * Mounts on NEWROOT the file system on the disk of that serial number: the disk itself or the first of its partitions
 * that holds an init. Waits a bounded time for the disk. 0, or -1 after it has said on standard error what is wrong.
 */
int rootdisk_mount(const char *serial);

#endif
