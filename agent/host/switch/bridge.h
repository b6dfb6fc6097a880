#ifndef PROVIUM_BRIDGE_H
#define PROVIUM_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "gateway.h"
#include "gateway6.h"
#include "learning.h"
#include "port.h"

/**
 * One learning bridge. It forwards like a Linux bridge without VLAN filtering and without spanning tree: unknown,
 * broadcast and multicast addresses go to every other port, VLAN tags pass, PAUSE frames end here, and so does what
 * is longer than the MTU allows.
 */

struct fabric;
struct tap;

struct bridge {
  struct bridge *next;
  struct fabric *fabric;
  int64_t id;
  size_t mtu;
  /** By slot; slot 0 is the bridge itself. */
  struct port *ports[PORTS_MAX];
  /** One more than the highest slot in use. */
  size_t slots;
  struct tap *taps;
  struct learning learning;
  struct gateway gateway;
  struct gateway6 gateway6;
  /** Counts the plans, to tell pairs that the last one did not name. */
  uint64_t plan;
  uint64_t seed;
};

/** The bridge's own addresses: four bytes in a network of `prefix` bits, sixteen in one of 64; both may be empty. */
struct bridge_addresses {
  struct bytes ipv4;
  unsigned prefix;
  struct bytes ipv6;
};

/** NULL without memory. */
struct bridge *bridge_open(struct fabric *fabric, int64_t id, size_t mtu, struct bridge_addresses addresses);
void bridge_close(struct bridge *bridge);
struct bridge *bridge_find(struct fabric *fabric, int64_t id);

/** NULL with errno: EEXIST for a used id, ENOSPC without a free slot, ENOMEM, or what epoll said. */
struct port *bridge_add(struct bridge *bridge, int64_t id, int fd, struct bytes name);
void bridge_remove(struct port *port);
struct port *bridge_port(struct bridge *bridge, int64_t id);

/** A frame has come in through a port. */
void bridge_receive(struct port *from, struct bytes frame);

#endif
