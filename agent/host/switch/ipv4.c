#include "ipv4.h"

#include <string.h>

#include "bigendian.h"

uint16_t internet_checksum(const uint8_t *bytes, size_t size) {
  uint64_t sum = 0;
  size_t at = 0;
  for (; at + 1 < size; at += 2) sum += load_be(bytes + at, 2);
  if (at < size) sum += (uint64_t)bytes[at] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

bool ipv4_check(struct bytes *packet, size_t *header) {
  if (packet->size < IPV4_HEADER_BYTES || packet->data[0] >> 4 != 4) return false;
  size_t size = (size_t)(packet->data[0] & 0x0f) * 4;
  size_t total = (size_t)load_be(packet->data + 2, 2);
  if (size < IPV4_HEADER_BYTES || total < size || total > packet->size) return false;
  if (internet_checksum(packet->data, size) != 0) return false;
  packet->size = total;
  *header = size;
  return true;
}

void ipv4_count_down(uint8_t *packet) {
  size_t header = (size_t)(packet[0] & 0x0f) * 4;
  packet[IPV4_TTL]--;
  store_be(packet + IPV4_CHECKSUM, 0, 2);
  store_be(packet + IPV4_CHECKSUM, internet_checksum(packet, header), 2);
}

static bool is_icmp_error(struct bytes packet, size_t header) {
  if (packet.data[IPV4_PROTOCOL] != PROTOCOL_ICMP) return false;
  if (packet.size <= header) return true;
  uint8_t type = packet.data[header];
  return type != ICMP_ECHO_REQUEST && type != ICMP_ECHO_REPLY;
}

size_t icmp_error(uint8_t *out, struct bytes packet, size_t header, uint32_t from, int type, int code, uint16_t more) {
  uint32_t to = (uint32_t)load_be(packet.data + IPV4_SOURCE, 4);
  bool fragment = (load_be(packet.data + 6, 2) & 0x1fff) != 0;
  if (fragment || is_icmp_error(packet, header) || to == 0 || to >> 28 >= 0xe) return 0;
  /* RFC 792: the header and the first eight bytes behind it. */
  size_t quoted = packet.size < header + 8 ? packet.size : header + 8;
  size_t size = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted;
  memset(out, 0, IPV4_HEADER_BYTES + ICMP_HEADER_BYTES);
  out[0] = 0x45;
  store_be(out + 2, size, 2);
  out[IPV4_TTL] = 64;
  out[IPV4_PROTOCOL] = PROTOCOL_ICMP;
  store_be(out + IPV4_SOURCE, from, 4);
  store_be(out + IPV4_DESTINATION, to, 4);
  store_be(out + IPV4_CHECKSUM, internet_checksum(out, IPV4_HEADER_BYTES), 2);
  uint8_t *icmp = out + IPV4_HEADER_BYTES;
  icmp[0] = (uint8_t)type;
  icmp[1] = (uint8_t)code;
  store_be(icmp + 6, more, 2);
  memcpy(icmp + ICMP_HEADER_BYTES, packet.data, quoted);
  store_be(icmp + 2, internet_checksum(icmp, ICMP_HEADER_BYTES + quoted), 2);
  return size;
}
