#ifndef PROVIUM_LISTENER_H
#define PROVIUM_LISTENER_H

#include <stdbool.h>

#include "agent.h"

/**
 * A listening stream socket: every connection becomes a session, all served from the one loop. Once it serves it is the
 * agent's; whoever allocates one around it puts it first.
 */
struct listener {
  struct listener *next;
  struct agent *agent;
  struct watch watch;
  /** Accepts again. */
  struct timer pause;
};

#define LISTENER_BACKLOG 1024

void listener_init(struct listener *listener, struct agent *agent);
/** Takes over a bound, non-blocking socket. On failure the descriptor is closed and errno set. */
bool listener_serve(struct listener *listener, int fd);
/** The agent ends: closes and frees those that serve. */
void listeners_end(struct agent *agent);

#endif
