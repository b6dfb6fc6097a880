#include "gateway6.h"

#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"
#include "ipv6.h"

#define TYPE_IPV6 0x86dd
#define NETWORK_BYTES 8
/** What neighbours say is theirs alone: it has passed no router. */
#define HOPS_OF_NEIGHBOURS 255

/** Solicitation and advertisement: header, target, and an option with an Ethernet address. */
#define TARGET_BYTES 16
#define OPTION_BYTES 8
#define OPTION_SOURCE 1
#define OPTION_TARGET 2
#define DISCOVERY_BYTES (IPV6_HEADER_BYTES + ICMPV6_HEADER_BYTES + TARGET_BYTES + OPTION_BYTES)
#define ROUTER_SOLICITED_OVERRIDE 0xe0

/** ff02::1:ff00:0/104 (RFC 4291): the last three bytes are those of the address that is looked for. */
static const uint8_t solicited_node[IP_BYTES] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
#define SOLICITED_NODE_BYTES 13
#define SOLICITED_NODE_ETHERNET UINT64_C(0x3333ff000000)

void gateway6_init(struct gateway6 *gateway, struct bytes address) {
  gateway->present = address.size == IP_BYTES;
  if (gateway->present) memcpy(gateway->ip, address.data, IP_BYTES);
}

static bool local(const struct gateway6 *gateway, const uint8_t *ip) {
  return gateway->present && memcmp(gateway->ip, ip, NETWORK_BYTES) == 0;
}

/** Says to `to` at `ethernet` what neighbours say to one another: a solicitation or an advertisement of `target`. */
static void discover(struct bridge *bridge, int type, uint64_t ethernet, const uint8_t *to, const uint8_t *target) {
  const struct gateway6 *own = &bridge->gateway6;
  uint8_t frame[ETHERNET_HEADER_BYTES + DISCOVERY_BYTES];
  uint8_t *packet = frame + ETHERNET_HEADER_BYTES;
  uint8_t *icmp = packet + IPV6_HEADER_BYTES;
  uint8_t *option = icmp + ICMPV6_HEADER_BYTES + TARGET_BYTES;
  ethernet_header(frame, ethernet, bridge->gateway.address, TYPE_IPV6);
  ipv6_header(packet, own->ip, to, HOPS_OF_NEIGHBOURS, DISCOVERY_BYTES - IPV6_HEADER_BYTES);
  memset(icmp, 0, ICMPV6_HEADER_BYTES);
  icmp[0] = (uint8_t)type;
  icmp[4] = type == ICMPV6_ADVERTISEMENT ? ROUTER_SOLICITED_OVERRIDE : 0;
  memcpy(icmp + ICMPV6_HEADER_BYTES, target, TARGET_BYTES);
  option[0] = type == ICMPV6_ADVERTISEMENT ? OPTION_TARGET : OPTION_SOURCE;
  option[1] = OPTION_BYTES / 8;
  store_be(option + 2, bridge->gateway.address, 6);
  icmpv6_seal(packet, DISCOVERY_BYTES);
  bridge_say(bridge, frame, sizeof frame);
}

static void send_packet(struct bridge *bridge, struct bytes packet, const uint8_t *to) {
  if (!neighbour_send(bridge, &bridge->gateway6.neighbours, to, TYPE_IPV6, packet)) return;
  uint8_t group[IP_BYTES];
  memcpy(group, solicited_node, SOLICITED_NODE_BYTES);
  memcpy(group + SOLICITED_NODE_BYTES, to + SOLICITED_NODE_BYTES, IP_BYTES - SOLICITED_NODE_BYTES);
  discover(bridge, ICMPV6_SOLICITATION, SOLICITED_NODE_ETHERNET | load_be(to + SOLICITED_NODE_BYTES, 3), group, to);
}

static struct bridge *route_to(const struct bridge *bridge, const uint8_t *ip) {
  for (size_t i = 0; i < bridge->gateway.routes; i++) {
    struct bridge *out = bridge->gateway.routed[i];
    if (local(&out->gateway6, ip)) return out;
  }
  return NULL;
}

static void tell_sender(struct bridge *bridge, struct bytes packet, int type, int code, uint32_t more) {
  uint8_t error[ICMPV6_ERROR_BYTES_MAX];
  size_t size = icmpv6_error(error, packet, bridge->gateway6.ip, type, code, more);
  const uint8_t *to = packet.data + IPV6_SOURCE;
  if (size > 0 && local(&bridge->gateway6, to)) send_packet(bridge, (struct bytes){.data = error, .size = size}, to);
}

/** The Ethernet address in an option of that kind; `otherwise` without one. */
static uint64_t said_address(struct bytes packet, uint8_t kind, uint64_t otherwise) {
  size_t at = IPV6_HEADER_BYTES + ICMPV6_HEADER_BYTES + TARGET_BYTES;
  while (at + OPTION_BYTES <= packet.size) {
    const uint8_t *option = packet.data + at;
    if (option[0] == kind) return load_be(option + 2, 6);
    if (option[1] == 0) break;
    at += (size_t)option[1] * 8;
  }
  return otherwise;
}

/** Neighbour discovery, when the packet is of it. */
static bool receive_discovery(struct bridge *bridge, struct bytes packet, uint64_t ethernet) {
  struct gateway6 *own = &bridge->gateway6;
  const uint8_t *source = packet.data + IPV6_SOURCE;
  const uint8_t *icmp = packet.data + IPV6_HEADER_BYTES;
  const uint8_t *target = icmp + ICMPV6_HEADER_BYTES;
  bool asks = icmp[0] == ICMPV6_SOLICITATION;
  if (!asks && icmp[0] != ICMPV6_ADVERTISEMENT) return false;
  if (packet.data[IPV6_HOPS] != HOPS_OF_NEIGHBOURS) return true;
  if (packet.size < IPV6_HEADER_BYTES + ICMPV6_HEADER_BYTES + TARGET_BYTES) return true;
  if (!asks) {
    uint64_t address = said_address(packet, OPTION_TARGET, ethernet);
    if (local(own, target) && neighbour_known(&own->neighbours, target))
      neighbour_found(bridge, &own->neighbours, target, address);
    return true;
  }
  /* The unspecified address is that of somebody who looks whether an address is free: ours is not. */
  if (memcmp(target, own->ip, IP_BYTES) != 0 || source[0] == 0) return true;
  uint64_t address = said_address(packet, OPTION_SOURCE, ethernet);
  if (local(own, source)) neighbour_found(bridge, &own->neighbours, source, address);
  discover(bridge, ICMPV6_ADVERTISEMENT, address, source, own->ip);
  return true;
}

static void echo(struct bridge *bridge, struct bytes packet) {
  const uint8_t *sender = packet.data + IPV6_SOURCE;
  if (packet.data[IPV6_HEADER_BYTES] != ICMPV6_ECHO_REQUEST) return;
  struct bridge *out = local(&bridge->gateway6, sender) ? bridge : route_to(bridge, sender);
  uint8_t *reply = out == NULL ? NULL : malloc(packet.size);
  if (reply == NULL) return;
  memcpy(reply, packet.data, packet.size);
  ipv6_header(reply, packet.data + IPV6_DESTINATION, sender, 64, packet.size - IPV6_HEADER_BYTES);
  reply[IPV6_HEADER_BYTES] = ICMPV6_ECHO_REPLY;
  icmpv6_seal(reply, packet.size);
  send_packet(out, (struct bytes){.data = reply, .size = packet.size}, sender);
  free(reply);
}

static void forward(struct bridge *bridge, struct bytes packet) {
  const uint8_t *to = packet.data + IPV6_DESTINATION;
  if (packet.data[IPV6_HOPS] <= 1) {
    tell_sender(bridge, packet, ICMPV6_TIME_EXCEEDED, 0, 0);
    return;
  }
  struct bridge *out = route_to(bridge, to);
  if (out == NULL) {
    tell_sender(bridge, packet, ICMPV6_UNREACHABLE, UNREACHABLE_NO_ROUTE, 0);
    return;
  }
  if (packet.size > out->mtu) {
    tell_sender(bridge, packet, ICMPV6_TOO_BIG, 0, (uint32_t)out->mtu);
    return;
  }
  if (neighbour_absent(&out->gateway6.neighbours, to)) {
    tell_sender(bridge, packet, ICMPV6_UNREACHABLE, UNREACHABLE_ADDRESS, 0);
    return;
  }
  uint8_t *copy = malloc(packet.size);
  if (copy == NULL) return;
  memcpy(copy, packet.data, packet.size);
  copy[IPV6_HOPS]--;
  send_packet(out, (struct bytes){.data = copy, .size = packet.size}, to);
  free(copy);
}

static bool is_own(const struct bridge *bridge, const uint8_t *ip) {
  if (memcmp(ip, bridge->gateway6.ip, IP_BYTES) == 0) return true;
  const struct bridge *out = route_to(bridge, ip);
  return out != NULL && memcmp(ip, out->gateway6.ip, IP_BYTES) == 0;
}

void gateway6_receive(struct bridge *bridge, struct bytes packet, uint64_t from, bool direct) {
  if (!bridge->gateway6.present || !ipv6_check(&packet)) return;
  const uint8_t *to = packet.data + IPV6_DESTINATION;
  bool message = icmpv6_check(packet);
  if (message && receive_discovery(bridge, packet, from)) return;
  if (!direct) return;
  /* Link-local and multicast addresses go nowhere from here. */
  bool far = to[0] != 0xff && to[0] != 0xfe && !local(&bridge->gateway6, to);
  if (is_own(bridge, to)) {
    if (message) echo(bridge, packet);
  } else if (far) {
    forward(bridge, packet);
  }
}
