#include "ipv6.h"

#include <string.h>

#include "bigendian.h"
#include "ipv4.h"

bool ipv6_check(struct bytes *packet) {
  if (packet->size < IPV6_HEADER_BYTES || packet->data[0] >> 4 != 6) return false;
  size_t total = IPV6_HEADER_BYTES + (size_t)load_be(packet->data + IPV6_PAYLOAD, 2);
  if (total > packet->size) return false;
  packet->size = total;
  return true;
}

void ipv6_header(uint8_t *packet, const uint8_t *from, const uint8_t *to, unsigned hops, size_t payload) {
  memset(packet, 0, IPV6_HEADER_BYTES);
  packet[0] = 0x60;
  store_be(packet + IPV6_PAYLOAD, payload, 2);
  packet[IPV6_NEXT] = NEXT_ICMPV6;
  packet[IPV6_HOPS] = (uint8_t)hops;
  memcpy(packet + IPV6_SOURCE, from, 16);
  memcpy(packet + IPV6_DESTINATION, to, 16);
}

/** Over both addresses, which stand right before the message, the message, its length and its kind. */
static uint16_t checksum(const uint8_t *packet, size_t size) {
  uint32_t sum = (uint16_t)~internet_checksum(packet + IPV6_SOURCE, size - IPV6_SOURCE);
  sum += (uint32_t)(size - IPV6_HEADER_BYTES) + NEXT_ICMPV6;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

bool icmpv6_check(struct bytes packet) {
  return packet.data[IPV6_NEXT] == NEXT_ICMPV6 && packet.size >= IPV6_HEADER_BYTES + ICMPV6_HEADER_BYTES &&
         checksum(packet.data, packet.size) == 0;
}

void icmpv6_seal(uint8_t *packet, size_t size) {
  uint8_t *at = packet + IPV6_HEADER_BYTES + 2;
  store_be(at, 0, 2);
  store_be(at, checksum(packet, size), 2);
}

static bool is_error(struct bytes packet) {
  if (packet.data[IPV6_NEXT] != NEXT_ICMPV6) return false;
  return packet.size <= IPV6_HEADER_BYTES || packet.data[IPV6_HEADER_BYTES] < ICMPV6_ECHO_REQUEST;
}

size_t icmpv6_error(uint8_t *out, struct bytes packet, const uint8_t *from, int type, int code, uint32_t more) {
  const uint8_t *to = packet.data + IPV6_SOURCE;
  if (is_error(packet) || to[0] == 0xff || packet.data[IPV6_DESTINATION] == 0xff) return 0;
  size_t room = ICMPV6_ERROR_BYTES_MAX - IPV6_HEADER_BYTES - ICMPV6_HEADER_BYTES;
  size_t quoted = packet.size < room ? packet.size : room;
  size_t size = IPV6_HEADER_BYTES + ICMPV6_HEADER_BYTES + quoted;
  ipv6_header(out, from, to, 64, ICMPV6_HEADER_BYTES + quoted);
  uint8_t *icmp = out + IPV6_HEADER_BYTES;
  icmp[0] = (uint8_t)type;
  icmp[1] = (uint8_t)code;
  store_be(icmp + 4, more, 4);
  memcpy(icmp + ICMPV6_HEADER_BYTES, packet.data, quoted);
  icmpv6_seal(out, size);
  return size;
}
