#ifndef PROVIUM_PRIVACY_H
#define PROVIUM_PRIVACY_H

/**
 * An agent of the host, where it may (CAP_SYS_ADMIN), lives in a mount namespace of its own: it sees what the host
 * mounts, and what a test mounts through it (vm:mount_vfs, mount(2)) is gone with it. Anywhere else nothing changes,
 * and there the kernel refuses to mount as well.
 */
void mounts_keep_private(void);

#endif
