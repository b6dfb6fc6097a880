#ifndef PROVIUM_WORKER_H
#define PROVIUM_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "actor.h"
#include "frame.h"
#include "messages.h"

/**
 * Workers: actors whose task was made by another task, as a fork or a thread of it. A fork is a child of the I/O
 * process (CLONE_PARENT), which gives it an arena and connections of its own; these travel to the task that makes it
 * as descriptors. A worker belongs to a session and ends with it; it is never started anew.
 */

/** Registers a worker that a task is asked to make. NULL with errno set. */
struct actor *worker_create(struct session *session, int64_t id, bool thread);
/** Sends its descriptors to the task that makes it, ahead of the request. */
bool worker_offer(struct actor *worker, const struct actor *maker);
/** The task has made it. False when `pid` and `tid` are not what they must be. */
bool worker_started(struct actor *worker, const struct actor *maker, pid_t pid, pid_t tid);
/** Nobody wants it: it never came to be, or its session is over. */
void worker_discard(struct actor *worker);
/** The task is gone (see actor_ended) and its calls have been answered. */
void worker_ended(struct actor *worker, int64_t how, int64_t code);
/** A thread that was told to end has answered what it was at: now it hears of it. */
void worker_leave(struct actor *worker);
void workers_of_session_ended(struct session *session);

/** A thread ends without a word to anybody but the kernel. Arms the look at it while it works. */
void worker_observe(struct actor *worker);

void worker_end_request(struct session *session, const struct frame_head *head, const struct worker_end_fields *request);

#endif
