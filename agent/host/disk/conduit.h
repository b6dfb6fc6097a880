#ifndef PROVIUM_CONDUIT_H
#define PROVIUM_CONDUIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * A pipe through which the pages of large transfers go between a client's socket and the file of a raw image
 * (splice(2)), instead of being copied through memory of ours.
 */

struct conduit {
  /** -1 without one. */
  int in;
  int out;
  /** Pages that fit, and bytes that it holds. */
  size_t pages;
  size_t held;
};

/** Without descriptors there is none, and nothing fits. */
void conduit_open(struct conduit *conduit);
/** Idempotent. */
void conduit_close(struct conduit *conduit);

/** Whether that much of a file from `offset` on fits at once. */
bool conduit_fits(const struct conduit *conduit, uint64_t offset, size_t size);
/** Fills it from the file. 0, or an errno with nothing held. */
int conduit_load(struct conduit *conduit, int file, uint64_t offset, size_t size);
/** Sends some of what it holds: how much, or -1 with errno. */
ssize_t conduit_send(struct conduit *conduit, int socket);

/**
 * Puts `size` bytes, which wait at the socket, into the file. 0 or an errno; `*taken` says how many it has taken, which
 * are fewer where that cannot be done.
 */
int conduit_store(struct conduit *conduit, int socket, int file, uint64_t offset, size_t size, size_t *taken);

#endif
