#ifndef PROVIUM_PORT_H
#define PROVIUM_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "loop.h"
#include "ring.h"

/**
 * One port of a bridge: a stream socket to a network backend of QEMU, each frame behind its length in four bytes,
 * big-endian. Slot 0 of every bridge is a port without socket: the bridge itself (gateway.c).
 *
 * The queue of a port is bounded. A sender may have as much in it as it leaves free, so that whoever floods a port
 * leaves room for everybody else; what does not fit is dropped and counted.
 */

struct bridge;
struct fabric;
struct pair;

/** Of one bridge, the bridge itself included. */
#define PORTS_MAX 257
#define PORT_QUEUE_BYTES ((size_t)1024 * 1024)

/** From the guest's side. */
struct port_counters {
  int64_t rx_bytes;
  int64_t tx_bytes;
  int64_t rx_packets;
  int64_t tx_packets;
  /** Frames to the guest for which there was no room, and frames of the guest that are none. */
  int64_t errors;
};

struct port {
  struct watch watch;
  struct grave grave;
  struct fabric *fabric;
  struct bridge *bridge;
  /** Given by the host; 0 is the bridge itself. */
  int64_t id;
  uint16_t slot;
  /** Of its name: what the generators of its pairs are seeded with. */
  uint64_t name_hash;
  struct port_counters counters;

  struct ring queue;
  /** One `struct queued` for each frame of the queue. */
  struct ring frames;
  /** Bytes of the first frame that are written already. */
  size_t written;
  /** Bytes in the queue by the slot that sent them. */
  uint32_t queued_from[PORTS_MAX];
  struct port *next_dirty;
  bool dirty;
  /** The socket takes no more at the moment. */
  bool blocked;

  /** The beginning of a frame whose end has not come yet. */
  uint8_t *rest;
  size_t rest_size;

  /** By the receiver's slot; NULL: a plain wire. */
  struct pair *pairs[PORTS_MAX];
};

/** Takes over `fd`; -1 for the bridge itself. NULL, with `fd` untouched and errno set, when that cannot be. */
struct port *port_open(struct bridge *bridge, int64_t id, uint16_t slot, int fd, struct bytes name);
/** Drops its queue and the pairs from it; pairs to it are the bridge's to drop. */
void port_close(struct port *port);

/** A frame for this port, at the end of its way from another. */
void port_put(struct port *port, const struct port *from, struct bytes frame);
/** Counts a frame for which there was no room. */
void port_lost(struct port *port);
/** Writes as much of the queue as the socket takes. */
void port_flush(struct port *port);

#endif
