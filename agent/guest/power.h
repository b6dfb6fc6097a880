#ifndef PROVIUM_POWER_H
#define PROVIUM_POWER_H

#include <stdint.h>

#include "session.h"

/**
 * Ends the machine once the session's queue has left: file systems are synced for at most `sync_ms`, then
 * reboot(2), then SysRq. On the host it ends the agent only.
 */
void power_down(struct session *session, int64_t sync_ms);

#endif
