#ifndef PROVIUM_SIGNALS_H
#define PROVIUM_SIGNALS_H

/** Every signal as a fresh process has it: default action, none blocked. Also those that libc keeps to itself. */
void reset_signals(void);

#endif
