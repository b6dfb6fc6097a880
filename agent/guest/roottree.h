#ifndef PROVIUM_ROOTTREE_H
#define PROVIUM_ROOTTREE_H

/**
 * Mounts on NEWROOT a tree of the host, which comes as a file system of that type ("virtiofs" or "9p") and is only
 * read: what is written stays in memory (overlayfs). /run and /tmp are empty, and mount points that every root has
 * are there. 0, or -1 after it has said on standard error what is wrong.
 */
int roottree_mount(const char *type);

#endif
