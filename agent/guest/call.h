#ifndef PROVIUM_CALL_H
#define PROVIUM_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct actor;
struct process;
struct session;

/** A request for a task: from arrival until its answer has left. */
struct call {
  struct call *next;
  struct actor *actor;
  /** NULL once nobody waits for the answer any more. */
  struct session *session;
  const struct message *message;
  int64_t request_id;
  /** What it starts: a process or a worker. */
  struct process *process;
  struct actor *worker;

  /** The body is in a slot of the arena, or in memory of its own while no slot is free. */
  int slot;
  uint8_t *heap;
  size_t size;
  size_t payload_offset;

  int64_t answer_kind;
  int reply_slot;
  size_t reply_size;
};

/** Room for a request of `size` bytes, or NULL when the actor has too much waiting already. */
struct call *call_create(struct actor *actor, size_t size);
/** Where the body of the request goes. */
uint8_t *call_body(const struct call *call);
/** The same request of another actor, whose queue it is not yet in; frees the old one. NULL without room. */
struct call *call_move(struct call *call, struct actor *actor);
/** Moves a body that arrived while every slot was taken into the one that nobody else can hold meanwhile. */
void call_enter_arena(struct call *call);
/** The task has read it: its room serves the next request. */
void call_release_request(struct call *call);
void call_free(struct call *call);
/** Answers ERROR, gives up what the request would have started, and frees it. */
void call_fail(struct call *call, int error, const char *message);

#endif
