#ifndef PROVIUM_MODULES_H
#define PROVIUM_MODULES_H

/** Loads the kernel modules that the host shipped, in the order of /provium/modules/order. */
void modules_load(void);

#endif
