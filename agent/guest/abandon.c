#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actor.h"
#include "birth.h"
#include "messages.h"
#include "process.h"
#include "session.h"
#include "worker.h"

/** Requests that nobody waits for any more: canceled, or their session is over. */

#define MILLISECOND ((int64_t)1000000)
/** How long a task may take to come back from a request whose session has ended. */
#define DESERTION_PATIENCE (2000 * MILLISECOND)

/** A signal that arrives just before the blocking call is lost: repeated until the task is back. */
void actor_nudge(void *context) {
  struct actor *actor = context;
  if (actor->running == NULL || actor->pid <= 0) return;
  syscall(SYS_tgkill, actor->pid, actor->tid, INTERRUPT_SIGNAL);
  loop_arm(&actor->agent->loop, &actor->nudge, 20 * MILLISECOND);
}

bool actor_cancel(struct actor *actor, const struct session *session, int64_t request_id) {
  struct call *running = actor->running;
  if (running != NULL && running->session == session && running->request_id == request_id) {
    session_refuse(running->session, actor->id, request_id, ECANCELED, running->message->name, "canceled");
    running->session = NULL;
    actor_nudge(actor);
    return true;
  }
  struct call *previous = NULL;
  for (struct call *call = actor->first; call != NULL; previous = call, call = call->next) {
    if (call->session != session || call->request_id != request_id) continue;
    if (previous != NULL) previous->next = call->next;
    else actor->first = call->next;
    if (actor->last == call) actor->last = previous;
    call_fail(call, ECANCELED, "canceled");
    return true;
  }
  return false;
}

/** Whether a session other than this one may have opened or changed something in the main task. */
static bool others_know(const struct agent *agent, const struct session *session) {
  for (const struct session *other = agent->sessions; other != NULL; other = other->next) {
    if (other != session && other->synced && !other->closed) return true;
  }
  return false;
}

/**
 * What runs is interrupted. A main task that does not come back from it, or from what was given up before, would keep
 * the next session waiting: unless another session knows that task, and may have something in it, the next request
 * gets a fresh one.
 */
void actor_forget_session(struct actor *actor, const struct session *session) {
  struct call *running = actor->running;
  if (running != NULL && running->session == session) {
    running->session = NULL;
    actor_nudge(actor);
  }
  bool deserted = running != NULL && running->session == NULL && !others_know(actor->agent, session);
  if (deserted && !actor->worker && !actor->deserted.armed) {
    loop_arm(&actor->agent->loop, &actor->deserted, DESERTION_PATIENCE);
  }
  struct call **at = &actor->first;
  actor->last = NULL;
  while (*at != NULL) {
    struct call *call = *at;
    if (call->session != session) {
      actor->last = call;
      at = &call->next;
      continue;
    }
    *at = call->next;
    if (call->process != NULL) process_discard(call->process);
    if (call->worker != NULL) worker_discard(call->worker);
    call_free(call);
  }
}

/** The killed task may be long in ending (uninterruptible, say) and writes to its arena till then: that stays behind. */
void actor_supersede(void *context) {
  struct actor *old = context;
  struct agent *agent = old->agent;
  struct call *running = old->running;
  if (running == NULL || old->pid <= 0) return;
  struct actor *fresh = actor_create(agent, ACTOR_MAIN, false);
  if (fresh == NULL) {
    loop_arm(&agent->loop, &old->deserted, DESERTION_PATIENCE);
    return;
  }
  agent->main_task = fresh;
  while (old->first != NULL) {
    struct call *call = actor_take_first(old);
    struct call *moved = call_move(call, fresh);
    if (moved != NULL) actor_submit(fresh, moved);
    else call_fail(call, EAGAIN, "no memory for a fresh main task");
  }
  actor_destroy(old);
}

void actor_fail_calls(struct actor *actor, const char *text) {
  struct call *running = actor->running;
  if (running != NULL && running->session != NULL) {
    session_refuse(running->session, actor->id, running->request_id, 0, running->message->name, "%s", text);
    running->session = NULL;
  }
  if (running != NULL) actor_nudge(actor);
  while (actor->first != NULL) call_fail(actor_take_first(actor), 0, text);
}
