#ifndef PROVIUM_FABRIC_H
#define PROVIUM_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "pool.h"
#include "schedule.h"

/**
 * The userland Ethernet switch: one process with all bridges of a test file, driven by the frames of
 * src/net/switch-messages.ts over the descriptor that it inherits.
 *
 *   port (stream socket) → bridge (learning, flooding) → pair (impairments) → port (bounded queue)
 *
 * A turn of the loop reads each ready port once, carries out what is due, then writes to every port that got
 * something. No port is ever waited for: what does not fit into its queue is dropped and counted.
 */

/** Largest Ethernet frame on a wire; QEMU's own limit for a network backend (NET_BUFSIZE, net/net.h). */
#define FRAME_BYTES_MAX ((size_t)(4096 + 65536))
#define FRAME_LENGTH_BYTES 4
#define ETHERNET_HEADER_BYTES 14
/** What one port may send in a turn before the next has its own. */
#define READ_BYTES ((size_t)128 * 1024)
/** Frames under way in pairs with latency or rate, of all bridges together. */
#define FLIGHT_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct bridge;
struct port;

struct fabric {
  struct loop loop;
  struct schedule schedule;
  struct bridge *bridges;
  /** Ports that have something to write. */
  struct port *dirty;
  size_t flight_bytes;
  struct pool pool;
  /** Where ports are read into: what was left of the last read, then the new bytes. */
  uint8_t scratch[FRAME_LENGTH_BYTES + FRAME_BYTES_MAX + READ_BYTES];
};

#endif
