#ifndef PROVIUM_PAIR_H
#define PROVIUM_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "random.h"

/**
 * An ordered pair of ports that is not a plain wire: what happens to frames on the way from one to the other.
 * In this order: cut, loss, duplication, corruption (of the first copy), rate, latency with jitter, reordering.
 * Every frame takes the same draws from the pair's generator whatever is set, so a change of the latency leaves
 * the pattern of losses as it was.
 *
 * A rate is a wire of that speed: a frame begins when the one before has left, and leaves when its last bit does.
 * Order is kept, with jitter too. A reordered frame leaves out the latency; where there is none it lets the next
 * frame of its pair pass, or goes on after HOLD_NS.
 */

struct fabric;
struct port;

/** Certainty, as a probability of 32 bits. */
#define PROBABILITY_ONE (INT64_C(1) << 32)
#define LATENCY_NS_MAX (INT64_C(3600) * 1000000000)
#define HOLD_NS (INT64_C(10) * 1000000)
/** A frame that would wait longer than this for a rate is dropped, unless no more than RATE_BYTES_MIN wait. */
#define RATE_WAIT_NS (INT64_C(100) * 1000000)
#define RATE_BYTES_MIN 16384

struct impairment {
  int64_t latency_ns;
  int64_t jitter_ns;
  /** Of PROBABILITY_ONE. */
  int64_t loss;
  int64_t duplicate;
  int64_t reorder;
  int64_t corrupt;
  /** 0: no limit. */
  int64_t rate_bps;
  bool cut;
};

struct delayed {
  struct delayed *next;
  int64_t due;
  size_t size;
  uint8_t bytes[];
};

struct pair {
  struct fabric *fabric;
  struct port *from;
  struct port *to;
  struct impairment impairment;
  struct random random;
  /** Under way, by due time. */
  struct delayed *first;
  struct delayed *last;
  /** A frame that lets the next one pass; `due` is when it goes at the latest. */
  struct delayed *held;
  size_t bytes;
  /** When the wire is free again. */
  int64_t free_at;
  /** Place in the schedule's heap. */
  size_t place;
  /** The plan that named it last. */
  uint64_t plan;
};

/** A fresh pair between two ports of one bridge, entered there; NULL without memory. */
struct pair *pair_open(struct fabric *fabric, struct port *from, struct port *to);
/** Sets other values: what is under way goes by them, and the generator starts over. */
void pair_set(struct pair *pair, const struct impairment *impairment, uint64_t seed);
/** Becomes a plain wire again: what is under way arrives now, in order. */
void pair_close(struct pair *pair);
/** Takes it out of the world with all that is under way. */
void pair_drop(struct pair *pair);

void pair_send(struct pair *pair, struct bytes frame, int64_t now);
/** When the next frame is due; INT64_MAX: nothing under way. */
int64_t pair_due(const struct pair *pair);
void pair_deliver(struct pair *pair, int64_t now);

#endif
