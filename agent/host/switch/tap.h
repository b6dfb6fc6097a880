#ifndef PROVIUM_TAP_H
#define PROVIUM_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "loop.h"
#include "ring.h"

/**
 * A capture under way: classic pcap into a pipe, with nanoseconds. Of a bridge it has each frame once, as it comes
 * in; of a port what the guest sends and what reaches it, after all that happens in between. A reader that does not
 * read loses frames beyond TAP_QUEUE_BYTES, and they are counted.
 */

#define TAP_QUEUE_BYTES ((size_t)32 * 1024 * 1024)

struct bridge;
struct port;

struct tap {
  struct watch watch;
  struct grave grave;
  struct tap *next;
  struct bridge *bridge;
  /** NULL: the whole bridge. */
  struct port *port;
  int64_t id;
  struct ring queue;
  bool blocked;
  int64_t lost;
};

/** Takes over `fd`; NULL, with `fd` untouched and errno set, when that cannot be. */
struct tap *tap_open(struct bridge *bridge, struct port *port, int64_t id, int fd);
void tap_close(struct tap *tap);
struct tap *tap_find(struct bridge *bridge, int64_t id);
void tap_flush(struct tap *tap);

void taps_see_entering(struct port *from, struct bytes frame);
void taps_see_leaving(struct port *to, struct bytes frame);
/** Ends the captures of a port that goes away. */
void taps_forget(struct port *port);

#endif
