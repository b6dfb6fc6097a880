#ifndef PROVIUM_CHANNELS_H
#define PROVIUM_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent.h"

/** The ways in which a host reaches the agent. Both of the guest's are tried until they are there. */

/** Waits for the virtio-serial port and opens it whenever it is there. */
bool serial_listen(struct agent *agent);

/** Accepts connections on an AF_VSOCK port, as soon as the kernel has that family. */
bool vsock_listen(struct agent *agent, uint32_t port);
/** Once, for a port of one's own (0: any). Returns the port, or -1 with errno set. */
int64_t vsock_listen_now(struct agent *agent, uint32_t port);

/** Accepts connections on a socket in the file system, which must not exist yet. */
bool unix_listen(struct agent *agent, const char *path);

#endif
