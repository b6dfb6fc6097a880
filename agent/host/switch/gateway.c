#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"
#include "ipv4.h"

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd
#define BROADCAST UINT64_C(0xffffffffffff)
/** Locally administered; the rest is the address of the bridge, so that bridges of one file differ. */
#define ADDRESS_PREFIX (UINT64_C(0x0250) << 32)

/** ARP for IPv4 over Ethernet (RFC 826), behind the Ethernet header. */
#define ARP_BYTES 28
#define ARP_REQUEST 1
#define ARP_REPLY 2

void gateway_init(struct gateway *gateway, struct bytes address, unsigned prefix) {
  if (address.size != 4) return;
  gateway->present = true;
  gateway->ip = (uint32_t)load_be(address.data, 4);
  gateway->mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
  gateway->address = ADDRESS_PREFIX | gateway->ip;
}

void gateway_end(struct gateway *gateway) {
  neighbours_end(&gateway->neighbours);
}

bool gateway_route(struct gateway *gateway, struct bridge *to) {
  for (size_t i = 0; i < gateway->routes; i++) {
    if (gateway->routed[i] == to) return true;
  }
  if (gateway->routes == ROUTES_MAX) return false;
  gateway->routed[gateway->routes++] = to;
  return true;
}

void gateway_unroute(struct gateway *gateway, const struct bridge *to) {
  for (size_t i = 0; i < gateway->routes; i++) {
    if (gateway->routed[i] != to) continue;
    gateway->routed[i] = gateway->routed[--gateway->routes];
    return;
  }
}

/** The address as neighbours are kept. */
static const uint8_t *wide(uint8_t *sixteen, uint32_t ip) {
  memset(sixteen, 0, IP_BYTES - 4);
  store_be(sixteen + IP_BYTES - 4, ip, 4);
  return sixteen;
}

static void send_arp(struct bridge *bridge, uint16_t operation, uint64_t to, uint32_t ip) {
  const struct gateway *own = &bridge->gateway;
  uint8_t frame[ETHERNET_HEADER_BYTES + ARP_BYTES];
  uint8_t *arp = frame + ETHERNET_HEADER_BYTES;
  ethernet_header(frame, to, own->address, TYPE_ARP);
  store_be(arp, 1, 2);
  store_be(arp + 2, TYPE_IPV4, 2);
  arp[4] = 6;
  arp[5] = 4;
  store_be(arp + 6, operation, 2);
  store_be(arp + 8, own->address, 6);
  store_be(arp + 14, own->ip, 4);
  store_be(arp + 18, operation == ARP_REPLY ? to : 0, 6);
  store_be(arp + 24, ip, 4);
  bridge_say(bridge, frame, sizeof frame);
}

static bool local(const struct gateway *gateway, uint32_t ip) {
  return gateway->present && ((ip ^ gateway->ip) & gateway->mask) == 0;
}

static void receive_arp(struct bridge *bridge, struct bytes frame) {
  static const uint8_t kind[] = {0, 1, 0x08, 0, 6, 4};
  struct gateway *gateway = &bridge->gateway;
  if (frame.size < ETHERNET_HEADER_BYTES + ARP_BYTES) return;
  const uint8_t *arp = frame.data + ETHERNET_HEADER_BYTES;
  if (memcmp(arp, kind, sizeof kind) != 0) return;
  uint64_t operation = load_be(arp + 6, 2);
  uint64_t address = load_be(arp + 8, 6);
  uint32_t sender = (uint32_t)load_be(arp + 14, 4);
  uint8_t ip[IP_BYTES];
  bool for_us = load_be(arp + 24, 4) == gateway->ip;
  /* Who speaks to us is a neighbour; of others only those that we know already are kept right. */
  bool known = neighbour_known(&gateway->neighbours, wide(ip, sender));
  if (sender != gateway->ip && local(gateway, sender) && (for_us || known))
    neighbour_found(bridge, &gateway->neighbours, ip, address);
  if (for_us && operation == ARP_REQUEST) send_arp(bridge, ARP_REPLY, address, sender);
}

static void send_packet(struct bridge *bridge, struct bytes packet, uint32_t to) {
  uint8_t ip[IP_BYTES];
  if (neighbour_send(bridge, &bridge->gateway.neighbours, wide(ip, to), TYPE_IPV4, packet))
    send_arp(bridge, ARP_REQUEST, BROADCAST, to);
}

static void tell_sender(struct bridge *bridge, struct bytes packet, size_t header, int type, int code, uint16_t more) {
  uint8_t error[ICMP_ERROR_BYTES_MAX];
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_SOURCE, 4);
  size_t size = icmp_error(error, packet, header, bridge->gateway.ip, type, code, more);
  if (size > 0 && local(&bridge->gateway, to)) send_packet(bridge, (struct bytes){.data = error, .size = size}, to);
}

static struct bridge *route_to(const struct gateway *gateway, uint32_t ip) {
  for (size_t i = 0; i < gateway->routes; i++) {
    if (local(&gateway->routed[i]->gateway, ip)) return gateway->routed[i];
  }
  return NULL;
}

static void echo(struct bridge *bridge, struct bytes packet, size_t header) {
  uint32_t sender = (uint32_t)load_be(packet.data + IPV4_SOURCE, 4);
  uint32_t own = (uint32_t)load_be(packet.data + IPV4_DESTINATION, 4);
  bool whole = (load_be(packet.data + 6, 2) & 0x3fff) == 0;
  if (packet.data[IPV4_PROTOCOL] != PROTOCOL_ICMP || packet.size < header + ICMP_HEADER_BYTES || !whole) return;
  if (packet.data[header] != ICMP_ECHO_REQUEST) return;
  if (internet_checksum(packet.data + header, packet.size - header) != 0) return;
  struct bridge *out = local(&bridge->gateway, sender) ? bridge : route_to(&bridge->gateway, sender);
  uint8_t *reply = out == NULL ? NULL : malloc(packet.size);
  if (reply == NULL) return;
  memcpy(reply, packet.data, packet.size);
  store_be(reply + IPV4_SOURCE, own, 4);
  store_be(reply + IPV4_DESTINATION, sender, 4);
  reply[IPV4_TTL] = 64;
  store_be(reply + IPV4_CHECKSUM, 0, 2);
  store_be(reply + IPV4_CHECKSUM, internet_checksum(reply, header), 2);
  reply[header] = ICMP_ECHO_REPLY;
  store_be(reply + header + 2, 0, 2);
  store_be(reply + header + 2, internet_checksum(reply + header, packet.size - header), 2);
  send_packet(out, (struct bytes){.data = reply, .size = packet.size}, sender);
  free(reply);
}

static void forward(struct bridge *bridge, struct bytes packet, size_t header) {
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_DESTINATION, 4);
  if (packet.data[IPV4_TTL] <= 1) {
    tell_sender(bridge, packet, header, ICMP_TIME_EXCEEDED, 0, 0);
    return;
  }
  struct bridge *out = route_to(&bridge->gateway, to);
  if (out == NULL) {
    tell_sender(bridge, packet, header, ICMP_UNREACHABLE, UNREACHABLE_NET, 0);
    return;
  }
  if (packet.size > out->mtu) {
    uint16_t mtu = (uint16_t)(out->mtu > UINT16_MAX ? UINT16_MAX : out->mtu);
    tell_sender(bridge, packet, header, ICMP_UNREACHABLE, UNREACHABLE_FRAGMENTATION_NEEDED, mtu);
    return;
  }
  uint8_t ip[IP_BYTES];
  if (neighbour_absent(&out->gateway.neighbours, wide(ip, to))) {
    tell_sender(bridge, packet, header, ICMP_UNREACHABLE, UNREACHABLE_HOST, 0);
    return;
  }
  uint8_t *copy = malloc(packet.size);
  if (copy == NULL) return;
  memcpy(copy, packet.data, packet.size);
  ipv4_count_down(copy);
  send_packet(out, (struct bytes){.data = copy, .size = packet.size}, to);
  free(copy);
}

static bool is_own(const struct gateway *gateway, uint32_t ip) {
  if (ip == gateway->ip) return true;
  const struct bridge *out = route_to(gateway, ip);
  return out != NULL && ip == out->gateway.ip;
}

void gateway_receive(struct bridge *bridge, struct bytes frame) {
  struct gateway *gateway = &bridge->gateway;
  if (!gateway->present || frame.size < ETHERNET_HEADER_BYTES) return;
  uint64_t type = load_be(frame.data + 12, 2);
  bool direct = load_be(frame.data, 6) == gateway->address;
  struct bytes packet = {.data = frame.data + ETHERNET_HEADER_BYTES, .size = frame.size - ETHERNET_HEADER_BYTES};
  if (type == TYPE_ARP) receive_arp(bridge, frame);
  if (type == TYPE_IPV6) gateway6_receive(bridge, packet, load_be(frame.data + 6, 6), direct);
  if (type != TYPE_IPV4 || !direct) return;
  size_t header = 0;
  if (!ipv4_check(&packet, &header)) return;
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_DESTINATION, 4);
  /* Multicast, loopback, broadcast and the network's own broadcast go nowhere from here. */
  bool unicast = to >> 28 < 0xe && to >> 24 != 127 && to >> 24 != 0;
  if (is_own(gateway, to)) echo(bridge, packet, header);
  else if (unicast && !local(gateway, to)) forward(bridge, packet, header);
}
