#include "neighbours.h"

#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"

#define ASK_AGAIN_NS (INT64_C(1) * 1000000000)
/** Without an answer for this long a neighbour counts as absent. */
#define GIVE_UP_NS (INT64_C(3) * 1000000000)

void ethernet_header(uint8_t *frame, uint64_t to, uint64_t from, uint16_t type) {
  store_be(frame, to, 6);
  store_be(frame + 6, from, 6);
  store_be(frame + 12, type, 2);
}

void bridge_say(struct bridge *bridge, const uint8_t *frame, size_t size) {
  bridge_receive(bridge->ports[GATEWAY_SLOT], (struct bytes){.data = frame, .size = size});
}

static void drop_waiting(struct neighbour *neighbour) {
  for (unsigned i = 0; i < neighbour->count; i++) free(neighbour->waiting[i]);
  neighbour->count = 0;
}

/** Networks are small: neighbours are told apart by the last byte, and a newcomer takes the place. */
static struct neighbour *place_of(struct neighbours *neighbours, const uint8_t *ip) {
  struct neighbour *neighbour = &neighbours->at[ip[IP_BYTES - 1]];
  if (memcmp(neighbour->ip, ip, IP_BYTES) != 0) {
    drop_waiting(neighbour);
    *neighbour = (struct neighbour){0};
    memcpy(neighbour->ip, ip, IP_BYTES);
  }
  return neighbour;
}

bool neighbour_known(const struct neighbours *neighbours, const uint8_t *ip) {
  return memcmp(neighbours->at[ip[IP_BYTES - 1]].ip, ip, IP_BYTES) == 0;
}

void neighbour_found(struct bridge *bridge, struct neighbours *neighbours, const uint8_t *ip, uint64_t address) {
  struct neighbour *neighbour = place_of(neighbours, ip);
  neighbour->address = address;
  unsigned count = neighbour->count;
  neighbour->count = 0;
  for (unsigned i = 0; i < count; i++) {
    struct waiting *waiting = neighbour->waiting[i];
    store_be(waiting->bytes, address, 6);
    bridge_say(bridge, waiting->bytes, waiting->size);
    free(waiting);
  }
}

bool neighbour_absent(struct neighbours *neighbours, const uint8_t *ip) {
  struct neighbour *neighbour = place_of(neighbours, ip);
  if (neighbour->address != 0 || neighbour->since == 0) return false;
  if (monotonic_ns() - neighbour->since < GIVE_UP_NS) return false;
  drop_waiting(neighbour);
  *neighbour = (struct neighbour){0};
  return true;
}

bool neighbour_send(struct bridge *bridge, struct neighbours *neighbours, const uint8_t *ip, uint16_t type,
                    struct bytes packet) {
  struct neighbour *neighbour = place_of(neighbours, ip);
  struct waiting *frame = malloc(sizeof *frame + ETHERNET_HEADER_BYTES + packet.size);
  if (frame == NULL) return false;
  frame->size = ETHERNET_HEADER_BYTES + packet.size;
  ethernet_header(frame->bytes, neighbour->address, bridge->gateway.address, type);
  memcpy(frame->bytes + ETHERNET_HEADER_BYTES, packet.data, packet.size);
  if (neighbour->address != 0) {
    bridge_say(bridge, frame->bytes, frame->size);
    free(frame);
    return false;
  }
  if (neighbour->count == WAITING_MAX) {
    free(neighbour->waiting[0]);
    memmove(&neighbour->waiting[0], &neighbour->waiting[1], (WAITING_MAX - 1) * sizeof neighbour->waiting[0]);
    neighbour->count--;
  }
  neighbour->waiting[neighbour->count++] = frame;
  int64_t now = monotonic_ns();
  if (neighbour->since == 0) neighbour->since = now;
  if (neighbour->asked != 0 && now - neighbour->asked < ASK_AGAIN_NS) return false;
  neighbour->asked = now;
  return true;
}

void neighbours_end(struct neighbours *neighbours) {
  for (size_t i = 0; i < NEIGHBOURS; i++) drop_waiting(&neighbours->at[i]);
}
