#ifndef PROVIUM_NEIGHBOURS_H
#define PROVIUM_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/**
 * Who on a bridge has which Ethernet address, as far as the bridge itself has asked: by ARP or by neighbour discovery.
 * A few packets wait for the answer. IPv4 addresses are the last four bytes of sixteen.
 */

struct bridge;

#define IP_BYTES 16
#define NEIGHBOURS 256
/** Packets that wait for one neighbour's address. */
#define WAITING_MAX 8

struct waiting {
  size_t size;
  uint8_t bytes[];
};

struct neighbour {
  uint8_t ip[IP_BYTES];
  /** Ethernet address; 0 while it is asked for. */
  uint64_t address;
  int64_t asked;
  /** Since when nobody has answered. */
  int64_t since;
  unsigned count;
  struct waiting *waiting[WAITING_MAX];
};

struct neighbours {
  struct neighbour at[NEIGHBOURS];
};

/** Writes the header of a frame. */
void ethernet_header(uint8_t *frame, uint64_t to, uint64_t from, uint16_t type);
/** The bridge itself sends a frame, which goes out like that of any port. */
void bridge_say(struct bridge *bridge, const uint8_t *frame, size_t size);

bool neighbour_known(const struct neighbours *neighbours, const uint8_t *ip);
/** A neighbour has said where it is: what waited for it goes there. */
void neighbour_found(struct bridge *bridge, struct neighbours *neighbours, const uint8_t *ip, uint64_t address);
/** True when it was asked for long enough; the next packet starts over. */
bool neighbour_absent(struct neighbours *neighbours, const uint8_t *ip);
/** Sends a packet to a neighbour, or keeps it until the neighbour is found. True: ask for it now. */
bool neighbour_send(struct bridge *bridge, struct neighbours *neighbours, const uint8_t *ip, uint16_t type,
                    struct bytes packet);
void neighbours_end(struct neighbours *neighbours);

#endif
