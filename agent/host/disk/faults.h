#ifndef PROVIUM_FAULTS_H
#define PROVIUM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The rules by which a disk misbehaves, and what they say about one request. Modes and flush rules are numbered as in
 * src/lab/disk-faults.ts.
 */

enum fault_mode {
  FAULT_EIO_READ,
  FAULT_EIO_WRITE,
  FAULT_SLOW,
  FAULT_ENOSPC,
  FAULT_TORN_WRITE,
  FAULT_LOST_WRITE,
  FAULT_CORRUPT_READ,
  FAULT_MODES,
};

enum flush_rule { FLUSH_STORE, FLUSH_ERROR, FLUSH_IGNORE, FLUSH_RULES };

/** The value of `probability` that means always. */
#define FAULT_ALWAYS ((int64_t)1 << 32)

struct fault {
  struct fault *next;
  int64_t number;
  enum fault_mode mode;
  /** It concerns [first, end); `end` UINT64_MAX for the rest of the disk. */
  uint64_t first;
  uint64_t end;
  /** -1 for ever. */
  int64_t left;
  int64_t hits;
  int64_t probability;
  uint64_t random;
  int64_t delay_ns;
  uint64_t keep;
  int64_t bits;
  enum flush_rule on_flush;
};

struct faults {
  struct fault *rules;
};

/** Which rules are asked. */
enum fault_kind { FAULT_ON_READ, FAULT_ON_WRITE, FAULT_ON_FLUSH, FAULT_ON_TRIM };

/** What is to be done with a write. */
struct verdict {
  /** An errno, or 0. */
  int error;
  /** So many bytes arrive, from the start of the request. */
  uint64_t keep;
  /** Acknowledged, not stored; until `on_flush` is applied. */
  bool lost;
  enum flush_rule on_flush;
};

/** Appends a copy of `rule`. False without memory. */
bool faults_add(struct faults *faults, const struct fault *rule);
/** -1 removes all. */
void faults_remove(struct faults *faults, int64_t number);

/** How long a request waits before anything else: the sum of what the `slow` rules that it meets ask for. */
int64_t faults_delay(struct faults *faults, enum fault_kind kind, uint64_t offset, uint64_t size);
/** What happens to it then. */
struct verdict faults_judge(struct faults *faults, enum fault_kind kind, uint64_t offset, uint64_t size);
/** Flips bits in what was read. */
void faults_corrupt(struct faults *faults, uint64_t offset, uint8_t *data, uint64_t size);

/** The next number of a generator (splitmix64). */
uint64_t splitmix_next(uint64_t *state);

#endif
