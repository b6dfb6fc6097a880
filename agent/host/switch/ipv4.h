#ifndef PROVIUM_IPV4_H
#define PROVIUM_IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/** IPv4 (RFC 791) and ICMP (RFC 792) as far as a router needs them. Offsets count from the IPv4 header. */

#define IPV4_HEADER_BYTES 20
#define IPV4_TTL 8
#define IPV4_PROTOCOL 9
#define IPV4_CHECKSUM 10
#define IPV4_SOURCE 12
#define IPV4_DESTINATION 16

#define PROTOCOL_ICMP 1
#define ICMP_HEADER_BYTES 8
#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACHABLE 3
#define ICMP_ECHO_REQUEST 8
#define ICMP_TIME_EXCEEDED 11
#define UNREACHABLE_NET 0
#define UNREACHABLE_HOST 1
#define UNREACHABLE_FRAGMENTATION_NEEDED 4

/** The Internet checksum (RFC 1071) of bytes whose own checksum field is zero; 0 when it is right in place. */
uint16_t internet_checksum(const uint8_t *bytes, size_t size);

/** True for a whole packet with a right header; `*packet` then ends where the packet does, `*header` is its header's size. */
bool ipv4_check(struct bytes *packet, size_t *header);

/** Counts down the time to live and mends the checksum. */
void ipv4_count_down(uint8_t *packet);

/** Most bytes that icmp_error writes. */
#define ICMP_ERROR_BYTES_MAX (IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + 60 + 8)
/**
 * Writes the packet that tells the sender of `packet` about it; returns its size, 0 where none may be sent (about an
 * ICMP error, a broadcast, or a fragment other than the first). `more` is the MTU of "fragmentation needed".
 */
size_t icmp_error(uint8_t *out, struct bytes packet, size_t header, uint32_t from, int type, int code, uint16_t more);

#endif
