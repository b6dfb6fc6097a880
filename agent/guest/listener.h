#ifndef PROVIUM_LISTENER_H
#define PROVIUM_LISTENER_H

#include <stdbool.h>

#include "agent.h"

/** A listening stream socket: every connection becomes a session, all served from the one loop. */
struct listener {
  struct agent *agent;
  struct watch watch;
};

#define LISTENER_BACKLOG 1024

void listener_init(struct listener *listener, struct agent *agent);
/** Takes over a bound, non-blocking socket. On failure the descriptor is closed and errno set. */
bool listener_serve(struct listener *listener, int fd);

#endif
