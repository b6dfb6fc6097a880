#ifndef PROVIUM_ACTOR_H
#define PROVIUM_ACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.h"
#include "arena.h"
#include "call.h"

/**
 * The I/O process's side of a task: the queue of its requests, the one that runs, and the process itself,
 * which is forked anew when it has ended. The I/O process never waits for it. In actor.c what an actor is and
 * how requests reach its task; in answer.c what comes back; in abandon.c requests that nobody waits for any
 * more; in ending.c the end of a task.
 */
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
  struct timer program;
  struct timer nudge;
  /** The session whose request runs has ended, and no other knows this task: see actor_forget_session. */
  struct timer deserted;

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
/** The agent ends, or the task is given up: kills it and frees everything. */
void actor_destroy(struct actor *actor);
/** What was offered to the task that makes a worker is there now, or not wanted any more. */
void actor_close_offer(struct actor *actor);
/** Lets go of the connections to the task, whose end they are. */
void actor_disconnect(struct actor *actor);
/** Strikes an actor off; what it holds is freed with the last of its calls. */
void actor_condemn(struct actor *actor);
/** The last call of a condemned one is over. */
void actor_bury_if_over(struct actor *actor);

/** Queues a request whose body is complete; the actor answers in order. */
void actor_submit(struct actor *actor, struct call *call);
/** Hands the next request to the task if it is idle. */
void actor_advance(struct actor *actor);
/** Takes the first request off the queue, which has one. */
struct call *actor_take_first(struct actor *actor);
/** Tells an idle thread to leave. */
void actor_ring_leave(struct actor *actor);

/** In answer.c: the task rings. */
void actor_answered(void *actor, uint32_t events);

/**
 * In abandon.c. Gives up a request. One that runs is interrupted by a signal, so that a blocking system call returns.
 * False when the actor has none of this id.
 */
bool actor_cancel(struct actor *actor, const struct session *session, int64_t request_id);
/** Nobody waits for the answers of this session's requests any more. */
void actor_forget_session(struct actor *actor, const struct session *session);
/** Answers everything that runs and waits with an error; what runs goes on until the task is back. */
void actor_fail_calls(struct actor *actor, const char *text);
/** Expiries of the timers `nudge` and `deserted`. */
void actor_nudge(void *actor);
void actor_supersede(void *actor);

/** In ending.c. The task is gone. `how` and `code` as in EXIT. */
void actor_ended(struct actor *actor, int64_t how, int64_t code);
/** Ends what the task has made and told nobody of. */
void actor_end_unreported(const struct actor *actor);
/** The I/O process has reaped a child: ends every actor of that process. False when there is none. */
bool actors_child_ended(struct agent *agent, pid_t pid, int64_t how, int64_t code);
/** What became of an actor, in words. */
void actor_describe_end(const struct actor *actor, int64_t how, int64_t code, char *text, size_t size);
/** The task's descriptors are gone; and a moment later a look at what became of it. */
void actor_hung_up(void *actor, uint32_t events);
void actor_look_after_hangup(void *actor);
/** The task has announced that it may become another program: looks until it has, or has answered. */
void actor_look_at_program(void *actor);

#endif
