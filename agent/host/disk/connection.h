#ifndef PROVIUM_CONNECTION_H
#define PROVIUM_CONNECTION_H

#include "buffer.h"
#include "conduit.h"
#include "disk.h"
#include "negotiation.h"

/**
 * One client of the NBD protocol (see nbd.h): QEMU, or a test. connection.c keeps it and serves its events, incoming.c
 * takes what it sends, outgoing.c sends what answers it.
 */
struct connection {
  struct connection *next;
  struct disk *disk;
  struct watch watch;
  struct grave grave;
  bool blocked;
  bool closed;
  /** Its events are being served: what is answered now leaves at the end of that. */
  bool serving;
  /** The client has said goodbye: what it asked for is still answered. */
  bool leaving;
  uint32_t events;
  struct buffer in;
  struct negotiation negotiation;
  /** A write whose data is still coming, and how much of it is there. */
  struct request *incoming;
  size_t filled;
  /** Answers in the order in which they leave; the first `sent` bytes of the first one are gone. */
  struct request *first;
  struct request *last;
  size_t sent;
  size_t pending_bytes;
  int pending;
  /** Holds data of the first answer, or of `incoming`, for a moment. */
  struct conduit conduit;
};

/** So much is under way that nothing more is read. */
bool connection_full(const struct connection *connection);
/** Watches for what it waits for now. */
void connection_rearm(struct connection *connection);

/** Reads once from the client. 1: something came; 0: nothing is there; -1: the client is gone. */
int incoming_pull(struct connection *connection);
/** Serves what has been read. False: this is no client. */
bool incoming_serve(struct connection *connection);

/** Puts the answer to a request into the queue; takes the request over. */
void outgoing_answer(struct request *request);
/** Answers with an error what was not made a request of. */
void outgoing_refuse(struct connection *connection, uint64_t cookie, int error);
/** Sends what it can. False: the client is gone. */
bool outgoing_flush(struct connection *connection);

#endif
