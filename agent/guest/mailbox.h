#ifndef PROVIUM_MAILBOX_H
#define PROVIUM_MAILBOX_H

#include <stdbool.h>

#include "agent.h"

/**
 * The channel of a machine whose runs repeat: what the host says arrives at moments that the guest chooses, so that
 * it does not depend on how fast the host is. Only where the kernel's command line has `provium.mailbox=1`.
 */
bool mailbox_open(struct agent *agent);

#endif
