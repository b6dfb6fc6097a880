#include "pair.h"

#include <stdlib.h>
#include <string.h>

#include "fabric.h"
#include "port.h"

/** What the generator has decided about one frame. */
struct fate {
  bool lost;
  bool duplicated;
  bool corrupted;
  bool reordered;
  uint64_t bit;
  uint64_t late;
};

static bool happens(uint32_t draw, int64_t probability) { return (int64_t)draw < probability; }

static struct fate draw(struct pair *pair) {
  const struct impairment *set = &pair->impairment;
  uint64_t first = random_next(&pair->random);
  uint64_t second = random_next(&pair->random);
  return (struct fate){
      .lost = happens((uint32_t)first, set->loss),
      .duplicated = happens((uint32_t)(first >> 32), set->duplicate),
      .corrupted = happens((uint32_t)second, set->corrupt),
      .reordered = happens((uint32_t)(second >> 32), set->reorder),
      .bit = random_next(&pair->random),
      .late = random_next(&pair->random),
  };
}

int64_t pair_due(const struct pair *pair) {
  int64_t due = pair->first == NULL ? INT64_MAX : pair->first->due;
  return pair->held != NULL && pair->held->due < due ? pair->held->due : due;
}

static void hand_over(struct pair *pair, const uint8_t *bytes, size_t size) {
  port_put(pair->to, pair->from, (struct bytes){.data = bytes, .size = size});
}

static void release(struct pair *pair, struct delayed *frame) {
  pair->bytes -= frame->size;
  pair->fabric->flight_bytes -= frame->size;
  pool_give(&pair->fabric->pool, frame, sizeof *frame + frame->size);
}

/**
 * The end of the way of a frame that has been taken out. The bridge itself may answer on the spot, by way of other
 * pairs: by then the schedule must know when this one is due next.
 */
static void deliver(struct pair *pair, struct delayed *frame) {
  schedule_move(&pair->fabric->schedule, pair);
  hand_over(pair, frame->bytes, frame->size);
  release(pair, frame);
}

static struct delayed *take_first(struct pair *pair) {
  struct delayed *frame = pair->first;
  pair->first = frame->next;
  if (pair->first == NULL) pair->last = NULL;
  return frame;
}

static void append(struct pair *pair, struct delayed *frame) {
  frame->next = NULL;
  if (pair->last != NULL) pair->last->next = frame;
  else pair->first = frame;
  pair->last = frame;
}

/** The frame that waited for the next one goes right behind it. */
static void let_go(struct pair *pair) {
  struct delayed *frame = pair->held;
  if (frame == NULL) return;
  pair->held = NULL;
  if (pair->last == NULL) {
    deliver(pair, frame);
    return;
  }
  frame->due = pair->last->due;
  append(pair, frame);
}

/** A copy that is under way, entered into the books; NULL, and counted, where there is no room for it. */
static struct delayed *copy_of(struct pair *pair, struct bytes frame) {
  struct fabric *fabric = pair->fabric;
  /* Each pair may take as much as it leaves to the others: a crowd shares, nobody takes all. */
  struct delayed *copy = NULL;
  if (pair->bytes + frame.size <= FLIGHT_BYTES_MAX - fabric->flight_bytes) {
    copy = pool_take(&fabric->pool, sizeof *copy + frame.size);
  }
  if (copy == NULL) {
    port_lost(pair->to);
    return NULL;
  }
  *copy = (struct delayed){.size = frame.size};
  memcpy(copy->bytes, frame.data, frame.size);
  pair->bytes += frame.size;
  fabric->flight_bytes += frame.size;
  return copy;
}

static void flip_bit(uint8_t *bytes, size_t size, uint64_t draw) {
  /* Behind the header: what a corrupted address does depends on who has it. */
  if (size <= ETHERNET_HEADER_BYTES) return;
  uint64_t bit = draw % ((size - ETHERNET_HEADER_BYTES) * 8);
  bytes[ETHERNET_HEADER_BYTES + bit / 8] ^= (uint8_t)(1U << (bit % 8));
}

/** When the wire has taken the frame; false when its queue is full. */
static bool pass_wire(struct pair *pair, size_t size, int64_t now, int64_t *leaves) {
  int64_t rate = pair->impairment.rate_bps;
  *leaves = now;
  if (rate == 0) return true;
  int64_t begins = pair->free_at > now ? pair->free_at : now;
  double waiting = (double)(begins - now) * (double)rate / 8e9;
  if (begins - now > RATE_WAIT_NS && waiting > RATE_BYTES_MIN) {
    port_lost(pair->to);
    return false;
  }
  *leaves = pair->free_at = begins + (int64_t)((uint64_t)size * 8 * 1000000000 / (uint64_t)rate);
  return true;
}

static int64_t lateness(const struct impairment *set, uint64_t draw) {
  int64_t late = set->latency_ns;
  if (set->jitter_ns > 0) late += (int64_t)(draw % (2 * (uint64_t)set->jitter_ns + 1)) - set->jitter_ns;
  return late > 0 ? late : 0;
}

static void send_one(struct pair *pair, struct bytes frame, const struct fate *fate, bool corrupted, int64_t now) {
  int64_t leaves = now;
  if (!pass_wire(pair, frame.size, now, &leaves)) return;
  const struct impairment *set = &pair->impairment;
  bool delayed = set->latency_ns > 0 || set->jitter_ns > 0;
  bool overtakes = fate->reordered && delayed;
  int64_t due = leaves + (overtakes ? 0 : lateness(set, fate->late));
  if (!overtakes && pair->last != NULL && due < pair->last->due) due = pair->last->due;
  bool waits = fate->reordered && !delayed && pair->held == NULL;

  if (due <= now && !waits && !corrupted && (overtakes || pair->first == NULL)) {
    hand_over(pair, frame.data, frame.size);
    if (!overtakes) let_go(pair);
    return;
  }
  struct delayed *copy = copy_of(pair, frame);
  if (copy == NULL) return;
  if (corrupted) flip_bit(copy->bytes, copy->size, fate->bit);
  copy->due = due;
  if (waits) {
    copy->due = due + HOLD_NS;
    pair->held = copy;
  } else if (overtakes) {
    struct delayed **at = &pair->first;
    while (*at != NULL && (*at)->due <= due) at = &(*at)->next;
    copy->next = *at;
    *at = copy;
    if (copy->next == NULL) pair->last = copy;
  } else {
    append(pair, copy);
    let_go(pair);
  }
}

void pair_send(struct pair *pair, struct bytes frame, int64_t now) {
  if (pair->impairment.cut) return;
  struct fate fate = draw(pair);
  if (fate.lost) return;
  send_one(pair, frame, &fate, fate.corrupted, now);
  if (fate.duplicated) {
    fate.reordered = false;
    send_one(pair, frame, &fate, false, now);
  }
  schedule_move(&pair->fabric->schedule, pair);
}

void pair_deliver(struct pair *pair, int64_t now) {
  while (pair->first != NULL && pair->first->due <= now) deliver(pair, take_first(pair));
  if (pair->held != NULL && pair->held->due <= now) let_go(pair);
  schedule_move(&pair->fabric->schedule, pair);
}

struct pair *pair_open(struct fabric *fabric, struct port *from, struct port *to) {
  if (!schedule_reserve(&fabric->schedule)) return NULL;
  struct pair *pair = malloc(sizeof *pair);
  if (pair == NULL) return NULL;
  fabric->schedule.pairs++;
  *pair = (struct pair){.fabric = fabric, .from = from, .to = to, .place = UNSCHEDULED};
  from->pairs[to->slot] = pair;
  return pair;
}

static void empty(struct pair *pair) {
  if (pair->held != NULL) release(pair, pair->held);
  pair->held = NULL;
  while (pair->first != NULL) release(pair, take_first(pair));
}

void pair_set(struct pair *pair, const struct impairment *impairment, uint64_t seed) {
  int64_t now = monotonic_ns();
  pair->impairment = *impairment;
  random_seed(&pair->random, seed, pair->from->name_hash, pair->to->name_hash);
  pair->free_at = 0;
  if (impairment->cut) empty(pair);
  /* Nothing stays under way longer than a frame sent now would. */
  int64_t latest = now + impairment->latency_ns + impairment->jitter_ns;
  for (struct delayed *frame = pair->first; frame != NULL; frame = frame->next) {
    if (frame->due > latest) frame->due = latest;
  }
  schedule_move(&pair->fabric->schedule, pair);
}

void pair_close(struct pair *pair) {
  if (!pair->impairment.cut) pair_deliver(pair, INT64_MAX - 1);
  pair_drop(pair);
}

void pair_drop(struct pair *pair) {
  empty(pair);
  schedule_move(&pair->fabric->schedule, pair);
  pair->fabric->schedule.pairs--;
  pair->from->pairs[pair->to->slot] = NULL;
  free(pair);
}
