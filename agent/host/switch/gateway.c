#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"
#include "ipv4.h"

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define BROADCAST UINT64_C(0xffffffffffff)
/** Locally administered; the rest is the address of the bridge, so that bridges of one file differ. */
#define ADDRESS_PREFIX (UINT64_C(0x0250) << 32)

/** ARP for IPv4 over Ethernet (RFC 826), behind the Ethernet header. */
#define ARP_BYTES 28
#define ARP_REQUEST 1
#define ARP_REPLY 2

#define ASK_AGAIN_NS (INT64_C(1) * 1000000000)
/** Without an answer for this long a neighbour counts as absent. */
#define GIVE_UP_NS (INT64_C(3) * 1000000000)

void gateway_init(struct gateway *gateway, struct bytes address, unsigned prefix) {
  if (address.size != 4) return;
  gateway->present = true;
  gateway->ip = (uint32_t)load_be(address.data, 4);
  gateway->mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
  gateway->address = ADDRESS_PREFIX | gateway->ip;
}

static void drop_waiting(struct neighbour *neighbour) {
  for (unsigned i = 0; i < neighbour->count; i++) free(neighbour->waiting[i]);
  neighbour->count = 0;
}

void gateway_end(struct gateway *gateway) {
  for (size_t i = 0; i < NEIGHBOURS; i++) drop_waiting(&gateway->neighbours[i]);
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

static void put_header(uint8_t *frame, uint64_t to, uint64_t from, uint16_t type) {
  store_be(frame, to, 6);
  store_be(frame + 6, from, 6);
  store_be(frame + 12, type, 2);
}

/** The frame goes out on this bridge like that of any port. */
static void send_frame(struct bridge *bridge, const uint8_t *frame, size_t size) {
  bridge_receive(bridge->ports[GATEWAY_SLOT], (struct bytes){.data = frame, .size = size});
}

static void send_arp(struct bridge *bridge, uint16_t operation, uint64_t to, uint32_t ip) {
  const struct gateway *own = &bridge->gateway;
  uint8_t frame[ETHERNET_HEADER_BYTES + ARP_BYTES];
  uint8_t *arp = frame + ETHERNET_HEADER_BYTES;
  put_header(frame, to, own->address, TYPE_ARP);
  store_be(arp, 1, 2);
  store_be(arp + 2, TYPE_IPV4, 2);
  arp[4] = 6;
  arp[5] = 4;
  store_be(arp + 6, operation, 2);
  store_be(arp + 8, own->address, 6);
  store_be(arp + 14, own->ip, 4);
  store_be(arp + 18, operation == ARP_REPLY ? to : 0, 6);
  store_be(arp + 24, ip, 4);
  send_frame(bridge, frame, sizeof frame);
}

/** Networks are small: neighbours are told apart by the last byte, and a newcomer takes the place. */
static struct neighbour *neighbour_of(struct gateway *gateway, uint32_t ip) {
  struct neighbour *neighbour = &gateway->neighbours[ip % NEIGHBOURS];
  if (neighbour->ip != ip) {
    drop_waiting(neighbour);
    *neighbour = (struct neighbour){.ip = ip};
  }
  return neighbour;
}

static bool local(const struct gateway *gateway, uint32_t ip) {
  return gateway->present && ((ip ^ gateway->ip) & gateway->mask) == 0;
}

/** A neighbour has said where it is: what waited for it goes there. */
static void neighbour_found(struct bridge *bridge, uint32_t ip, uint64_t address) {
  struct neighbour *neighbour = neighbour_of(&bridge->gateway, ip);
  neighbour->address = address;
  unsigned count = neighbour->count;
  neighbour->count = 0;
  for (unsigned i = 0; i < count; i++) {
    struct waiting *waiting = neighbour->waiting[i];
    store_be(waiting->bytes, address, 6);
    send_frame(bridge, waiting->bytes, waiting->size);
    free(waiting);
  }
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
  bool for_us = load_be(arp + 24, 4) == gateway->ip;
  /* Who speaks to us is a neighbour; of others only those that we know already are kept right. */
  bool known = gateway->neighbours[sender % NEIGHBOURS].ip == sender;
  if (sender != gateway->ip && local(gateway, sender) && (for_us || known)) neighbour_found(bridge, sender, address);
  if (for_us && operation == ARP_REQUEST) send_arp(bridge, ARP_REPLY, address, sender);
}

static void send_packet(struct bridge *bridge, struct bytes packet, uint32_t to);

static void tell_sender(struct bridge *bridge, struct bytes packet, size_t header, int type, int code, uint16_t more) {
  uint8_t error[ICMP_ERROR_BYTES_MAX];
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_SOURCE, 4);
  size_t size = icmp_error(error, packet, header, bridge->gateway.ip, type, code, more);
  if (size > 0 && local(&bridge->gateway, to)) send_packet(bridge, (struct bytes){.data = error, .size = size}, to);
}

/** Sends a packet to a neighbour on this bridge, or keeps it until the neighbour is found. */
static void send_packet(struct bridge *bridge, struct bytes packet, uint32_t to) {
  struct gateway *gateway = &bridge->gateway;
  struct neighbour *neighbour = neighbour_of(gateway, to);
  struct waiting *frame = malloc(sizeof *frame + ETHERNET_HEADER_BYTES + packet.size);
  if (frame == NULL) return;
  frame->size = ETHERNET_HEADER_BYTES + packet.size;
  put_header(frame->bytes, neighbour->address, gateway->address, TYPE_IPV4);
  memcpy(frame->bytes + ETHERNET_HEADER_BYTES, packet.data, packet.size);
  if (neighbour->address != 0) {
    send_frame(bridge, frame->bytes, frame->size);
    free(frame);
    return;
  }
  if (neighbour->count == WAITING_MAX) {
    free(neighbour->waiting[0]);
    memmove(&neighbour->waiting[0], &neighbour->waiting[1], (WAITING_MAX - 1) * sizeof neighbour->waiting[0]);
    neighbour->count--;
  }
  neighbour->waiting[neighbour->count++] = frame;
  int64_t now = monotonic_ns();
  if (neighbour->since == 0) neighbour->since = now;
  if (neighbour->asked != 0 && now - neighbour->asked < ASK_AGAIN_NS) return;
  neighbour->asked = now;
  send_arp(bridge, ARP_REQUEST, BROADCAST, to);
}

/** True when a neighbour was asked for long enough; the next packet starts over. */
static bool absent(struct gateway *gateway, uint32_t ip) {
  struct neighbour *neighbour = neighbour_of(gateway, ip);
  if (neighbour->address != 0 || neighbour->since == 0) return false;
  if (monotonic_ns() - neighbour->since < GIVE_UP_NS) return false;
  drop_waiting(neighbour);
  *neighbour = (struct neighbour){.ip = ip};
  return true;
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
  if (absent(&out->gateway, to)) {
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
  if (type == TYPE_ARP) receive_arp(bridge, frame);
  if (type != TYPE_IPV4 || load_be(frame.data, 6) != gateway->address) return;
  struct bytes packet = {.data = frame.data + ETHERNET_HEADER_BYTES, .size = frame.size - ETHERNET_HEADER_BYTES};
  size_t header = 0;
  if (!ipv4_check(&packet, &header)) return;
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_DESTINATION, 4);
  /* Multicast, loopback, broadcast and the network's own broadcast go nowhere from here. */
  bool unicast = to >> 28 < 0xe && to >> 24 != 127 && to >> 24 != 0;
  if (is_own(gateway, to)) echo(bridge, packet, header);
  else if (unicast && !local(gateway, to)) forward(bridge, packet, header);
}
