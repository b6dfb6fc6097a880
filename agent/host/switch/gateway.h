#ifndef PROVIUM_GATEWAY_H
#define PROVIUM_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "neighbours.h"

/**
 * The bridge's own address: it answers ARP and pings, and forwards IPv4 packets to the bridges that it is routed to
 * (RFC 1812: checks the header, counts down the time to live, tells the sender why a packet goes no further). It
 * finds the receiver by ARP and keeps a few packets until the answer comes. It does not fragment.
 */

struct bridge;

/** Slot of the bridge itself among its ports. */
#define GATEWAY_SLOT 0
#define ROUTES_MAX 64

struct gateway {
  bool present;
  uint64_t address;
  uint32_t ip;
  uint32_t mask;
  size_t routes;
  struct bridge *routed[ROUTES_MAX];
  struct neighbours neighbours;
};

void gateway_init(struct gateway *gateway, struct bytes address, unsigned prefix);
void gateway_end(struct gateway *gateway);
/** Packets for the other bridge's network pass from now on. False when there are too many routes. */
bool gateway_route(struct gateway *gateway, struct bridge *to);
void gateway_unroute(struct gateway *gateway, const struct bridge *to);
/** A frame has reached the bridge's own port. */
void gateway_receive(struct bridge *bridge, struct bytes frame);

#endif
