#ifndef PROVIUM_RESTRAINT_H
#define PROVIUM_RESTRAINT_H

/**
 * What an agent of the host gives up for good, with everything that it starts: setting the clock (CAP_SYS_TIME) and
 * restarting the machine (CAP_SYS_BOOT). Both are everyday calls in a guest, and on a host nothing brings back what
 * they did. See capabilities(7).
 */
void host_powers_give_up(void);

#endif
