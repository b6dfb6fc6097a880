#ifndef PROVIUM_IPV6_H
#define PROVIUM_IPV6_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/** IPv6 (RFC 8200), ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861) as far as a router needs them. */

#define IPV6_HEADER_BYTES 40
#define IPV6_PAYLOAD 4
#define IPV6_NEXT 6
#define IPV6_HOPS 7
#define IPV6_SOURCE 8
#define IPV6_DESTINATION 24
#define IPV6_LEAST_MTU 1280

#define NEXT_ICMPV6 58
#define ICMPV6_HEADER_BYTES 8
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_TOO_BIG 2
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_SOLICITATION 135
#define ICMPV6_ADVERTISEMENT 136
#define UNREACHABLE_NO_ROUTE 0
#define UNREACHABLE_ADDRESS 3

/** True for a whole packet; `*packet` then ends where the packet does. */
bool ipv6_check(struct bytes *packet);
/** Writes a header; the payload's size may be up to 65535. */
void ipv6_header(uint8_t *packet, const uint8_t *from, const uint8_t *to, unsigned hops, size_t payload);
/** True when the packet, without extension headers, holds an ICMPv6 message whose checksum is right. */
bool icmpv6_check(struct bytes packet);
/** Puts the checksum into the ICMPv6 message of a packet without extension headers. */
void icmpv6_seal(uint8_t *packet, size_t size);

/** Most bytes that icmpv6_error writes. */
#define ICMPV6_ERROR_BYTES_MAX IPV6_LEAST_MTU
/**
 * Writes the packet that tells the sender of `packet` about it; returns its size, 0 where none may be sent (about an
 * ICMPv6 error, to or from a multicast address). `more` is the MTU of "too big".
 */
size_t icmpv6_error(uint8_t *out, struct bytes packet, const uint8_t *from, int type, int code, uint32_t more);

#endif
