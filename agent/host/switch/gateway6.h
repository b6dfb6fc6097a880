#ifndef PROVIUM_GATEWAY6_H
#define PROVIUM_GATEWAY6_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "neighbours.h"

/**
 * The bridge's own IPv6 address, in a network of 64 bits: found by neighbour discovery, it answers pings and forwards
 * packets along the routes of the gateway (gateway.h). It sends no router advertisements: guests are told otherwise.
 */

struct bridge;

struct gateway6 {
  bool present;
  uint8_t ip[IP_BYTES];
  struct neighbours neighbours;
};

/** `address`: sixteen bytes, or empty for a bridge without one. */
void gateway6_init(struct gateway6 *gateway, struct bytes address);
/** An IPv6 packet has reached the bridge's own port; `direct`: it was sent to the bridge's Ethernet address. */
void gateway6_receive(struct bridge *bridge, struct bytes packet, uint64_t from, bool direct);

#endif
