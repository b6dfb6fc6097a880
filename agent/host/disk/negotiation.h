#ifndef PROVIUM_NEGOTIATION_H
#define PROVIUM_NEGOTIATION_H

#include <stdbool.h>

#include "buffer.h"

struct disk;

/** The first part of an NBD session (see nbd.h): greeting, then options until the client has chosen the export. */
struct negotiation {
  const struct disk *disk;
  /** What is to be sent. */
  struct buffer out;
  /** The client's flags are known. */
  bool flagged;
  bool no_zeroes;
  /** From now on the client sends requests. */
  bool done;
  /** The client has said goodbye. */
  bool aborted;
};

/** Puts the greeting into `out`, which the owner sends and frees. */
void negotiation_begin(struct negotiation *negotiation, const struct disk *disk);

/** Takes one step from what has arrived. 1: done; 0: more is needed; -1: this is no client. */
int negotiation_step(struct negotiation *negotiation, struct buffer *in);

#endif
