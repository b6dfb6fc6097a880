#ifndef PROVIUM_ACTOR_H
#define PROVIUM_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.h"
#include "arena.h"
#include "message.h"

/**
 * The I/O process's side of a task: the queue of its requests, the one that runs, and the process itself,
 * which is forked anew when it has ended. The I/O process never waits for it.
 */

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

struct actor {
  struct actor *next;
  struct agent *agent;
  int64_t id;
  struct arena arena;
  pid_t pid;
  /** Differs from `pid` for a thread. */
  pid_t tid;

  /** Write end of the pipe that the task reads: it cannot fill it, and its end is the end of the task. */
  int bell;
  struct watch answered;
  struct watch passage;
  struct timer hangup;
  struct timer nudge;

  struct call *first;
  struct call *last;
  size_t queued_calls;
  size_t queued_bytes;
  struct call *running;
  /** Of the request that was handed to the task last. */
  uint64_t number;
  int small_reply_slot;
  /** Calls that exist, answers on their way among them: the arena must outlive them. */
  size_t calls;
  bool condemned;
  struct grave grave;

  /** The rest is of workers only. */
  bool worker;
  bool thread;
  /** NULL once it is over. */
  struct session *session;
  bool spawning;
  bool gone;
  bool ending;
  int64_t end_request;
  int64_t how;
  int64_t code;
  int offered_arena;
  int offered_passage;
  int offered_bell;
  struct timer observe;
};

/** Registers an actor without a task. NULL with errno set. */
struct actor *actor_create(struct agent *agent, int64_t id, bool worker);
/** The main task, or a worker of that session; NULL for none. */
struct actor *actor_find(const struct agent *agent, const struct session *session, int64_t id);
/** Forks the task if there is none. */
bool actor_start(struct actor *actor);
/** The agent ends: kills the task and frees everything. */
void actor_destroy(struct actor *actor);
/** What was offered to the task that makes a worker is there now, or not wanted any more. */
void actor_close_offer(struct actor *actor);
/** Strikes a worker off; what it holds is freed with the last of its calls. */
void actor_condemn(struct actor *actor);

/** Room for a request of `size` bytes, or NULL when the actor has too much waiting already. */
struct call *call_create(struct actor *actor, size_t size);
/** Where the body of the request goes. */
uint8_t *call_body(const struct call *call);
void call_free(struct call *call);

/** Queues a request whose body is complete; the actor answers in order. */
void actor_submit(struct actor *actor, struct call *call);
/** Hands the next request to the task if it is idle. */
void actor_advance(struct actor *actor);
/**
 * Gives up a request. One that runs is interrupted by a signal, so that a blocking system call returns.
 * False when the actor has none of this id.
 */
bool actor_cancel(struct actor *actor, const struct session *session, int64_t request_id);
/** Nobody waits for the answers of this session's requests any more. */
void actor_forget_session(struct actor *actor, const struct session *session);
/** Answers everything that runs and waits with an error; what runs goes on until the task is back. */
void actor_fail_calls(struct actor *actor, const char *text);
/** Tells an idle thread to leave. */
void actor_ring_leave(struct actor *actor);
/** The task is gone. `how` and `code` as in EXIT. */
void actor_ended(struct actor *actor, int64_t how, int64_t code);
/** The I/O process has reaped a child: ends every actor of that process. False when there is none. */
bool actors_child_ended(struct agent *agent, pid_t pid, int64_t how, int64_t code);
/** What became of an actor, in words. */
void actor_describe_end(const struct actor *actor, int64_t how, int64_t code, char *text, size_t size);

#endif
