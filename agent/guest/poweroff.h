#ifndef PROVIUM_POWEROFF_H
#define PROVIUM_POWEROFF_H

/** Powers off at once: reboot(2), then SysRq through a descriptor of /proc. Returns when the kernel would not. */
void power_off_now(int proc_fd);

#endif
