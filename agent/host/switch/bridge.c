#include "bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "fabric.h"
#include "pair.h"
#include "tap.h"

/** Room for one VLAN tag above the MTU, as a Linux bridge has it. */
#define OVERHEAD_BYTES (ETHERNET_HEADER_BYTES + 4)
#define MULTICAST_BIT (UINT64_C(1) << 40)
/** IEEE 802.3 annex 31B: PAUSE is never forwarded. */
#define PAUSE_ADDRESS UINT64_C(0x0180c2000001)

static void forward(struct port *from, struct port *to, struct bytes frame, int64_t now) {
  struct pair *pair = from->pairs[to->slot];
  if (pair == NULL) port_put(to, from, frame);
  else pair_send(pair, frame, now);
}

static void flood(struct port *from, struct bytes frame, bool everybody, int64_t now) {
  struct bridge *bridge = from->bridge;
  for (size_t slot = everybody ? GATEWAY_SLOT : GATEWAY_SLOT + 1; slot < bridge->slots; slot++) {
    struct port *to = bridge->ports[slot];
    if (to != NULL && to != from) forward(from, to, frame, now);
  }
}

void bridge_receive(struct port *from, struct bytes frame) {
  struct bridge *bridge = from->bridge;
  if (frame.size < ETHERNET_HEADER_BYTES) {
    from->counters.errors++;
    return;
  }
  from->counters.tx_packets++;
  from->counters.tx_bytes += (int64_t)frame.size;
  taps_see_entering(from, frame);
  if (frame.size > bridge->mtu + OVERHEAD_BYTES) {
    from->counters.errors++;
    return;
  }

  int64_t now = monotonic_ns();
  uint64_t to = load_be(frame.data, 6);
  uint64_t source = load_be(frame.data + 6, 6);
  bool own = bridge->gateway.present && source == bridge->gateway.address;
  if ((source & MULTICAST_BIT) == 0 && source != 0 && !own) {
    learning_note(&bridge->learning, source, from->slot, now);
  }
  if (to == PAUSE_ADDRESS) return;
  if ((to & MULTICAST_BIT) != 0) {
    flood(from, frame, true, now);
    return;
  }
  if (bridge->gateway.present && to == bridge->gateway.address) {
    if (from->slot != GATEWAY_SLOT) forward(from, bridge->ports[GATEWAY_SLOT], frame, now);
    return;
  }
  int slot = learning_find(&bridge->learning, to, now);
  if (slot < 0) flood(from, frame, false, now);
  else if (slot != from->slot) forward(from, bridge->ports[slot], frame, now);
}

struct bridge *bridge_open(struct fabric *fabric, int64_t id, size_t mtu, struct bridge_addresses addresses) {
  struct bridge *bridge = calloc(1, sizeof *bridge);
  if (bridge == NULL) return NULL;
  bridge->fabric = fabric;
  bridge->id = id;
  bridge->mtu = mtu;
  learning_init(&bridge->learning, random_hash(&bridge, sizeof bridge) ^ (uint64_t)monotonic_ns());
  gateway_init(&bridge->gateway, addresses.ipv4, addresses.prefix);
  gateway6_init(&bridge->gateway6, addresses.ipv6);
  if (bridge_add(bridge, GATEWAY_SLOT, -1, (struct bytes){.data = (const uint8_t *)"", .size = 0}) == NULL) {
    free(bridge);
    return NULL;
  }
  bridge->next = fabric->bridges;
  fabric->bridges = bridge;
  return bridge;
}

void bridge_close(struct bridge *bridge) {
  struct fabric *fabric = bridge->fabric;
  while (bridge->taps != NULL) tap_close(bridge->taps);
  for (size_t slot = bridge->slots; slot > 0; slot--) {
    if (bridge->ports[slot - 1] != NULL) bridge_remove(bridge->ports[slot - 1]);
  }
  gateway_end(&bridge->gateway);
  neighbours_end(&bridge->gateway6.neighbours);
  for (struct bridge **at = &fabric->bridges; *at != NULL; at = &(*at)->next) {
    if (*at == bridge) {
      *at = bridge->next;
      break;
    }
  }
  for (struct bridge *other = fabric->bridges; other != NULL; other = other->next) {
    gateway_unroute(&other->gateway, bridge);
  }
  free(bridge);
}

struct bridge *bridge_find(struct fabric *fabric, int64_t id) {
  struct bridge *bridge = fabric->bridges;
  while (bridge != NULL && bridge->id != id) bridge = bridge->next;
  return bridge;
}

struct port *bridge_port(struct bridge *bridge, int64_t id) {
  for (size_t slot = 0; slot < bridge->slots; slot++) {
    if (bridge->ports[slot] != NULL && bridge->ports[slot]->id == id) return bridge->ports[slot];
  }
  return NULL;
}

struct port *bridge_add(struct bridge *bridge, int64_t id, int fd, struct bytes name) {
  if (bridge_port(bridge, id) != NULL) {
    errno = EEXIST;
    return NULL;
  }
  size_t slot = 0;
  while (slot < PORTS_MAX && bridge->ports[slot] != NULL) slot++;
  if (slot == PORTS_MAX) {
    errno = ENOSPC;
    return NULL;
  }
  struct port *port = port_open(bridge, id, (uint16_t)slot, fd, name);
  if (port == NULL) return NULL;
  bridge->ports[slot] = port;
  if (slot >= bridge->slots) bridge->slots = slot + 1;
  return port;
}

void bridge_remove(struct port *port) {
  struct bridge *bridge = port->bridge;
  taps_forget(port);
  for (size_t slot = 0; slot < bridge->slots; slot++) {
    struct port *from = bridge->ports[slot];
    if (from != NULL && from->pairs[port->slot] != NULL) pair_drop(from->pairs[port->slot]);
  }
  learning_forget(&bridge->learning, port->slot);
  bridge->ports[port->slot] = NULL;
  port_close(port);
  while (bridge->slots > 0 && bridge->ports[bridge->slots - 1] == NULL) bridge->slots--;
}
