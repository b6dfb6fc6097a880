#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "actor.h"
#include "messages.h"
#include "process.h"
#include "reap.h"
#include "session.h"
#include "strays.h"
#include "worker.h"

/** The end of a task, as the I/O process sees it: it exits, is killed, or becomes something else. */

#define MILLISECOND ((int64_t)1000000)

void actor_hung_up(void *context, uint32_t events) {
  struct actor *actor = context;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) loop_arm(&actor->agent->loop, &actor->hangup, 5 * MILLISECOND);
}

/**
 * The task's descriptors are gone. If it is on its way out, SIGCHLD will say so; if it still has a memory
 * image it has executed another program or closed what was not its own, and serves no more.
 */
void actor_look_after_hangup(void *context) {
  struct actor *actor = context;
  char path[32];
  char target[1];
  if (actor->pid <= 0) return;
  snprintf(path, sizeof path, "%d/exe", (int)actor->pid);
  int proc = actor->agent->proc_fd;
  if (proc >= 0 && readlinkat(proc, path, target, sizeof target) < 0) {
    loop_arm(&actor->agent->loop, &actor->hangup, 20 * MILLISECOND);
    return;
  }
  actor_ended(actor, HOW_REPLACED, 0);
}

/** False when it is known to be another one. */
static bool same_program(const struct agent *agent, pid_t pid) {
  char path[32];
  char own[PATH_MAX];
  char its[PATH_MAX];
  snprintf(path, sizeof path, "%d/exe", (int)pid);
  if (agent->proc_fd < 0) return true;
  ssize_t own_size = readlinkat(agent->proc_fd, "self/exe", own, sizeof own);
  ssize_t its_size = readlinkat(agent->proc_fd, path, its, sizeof its);
  return own_size < 0 || its_size < 0 || (own_size == its_size && memcmp(own, its, (size_t)its_size) == 0);
}

void actor_look_at_program(void *context) {
  struct actor *actor = context;
  if (actor->pid <= 0) return;
  if (same_program(actor->agent, actor->pid)) loop_arm(&actor->agent->loop, &actor->program, 5 * MILLISECOND);
  else actors_child_ended(actor->agent, actor->pid, HOW_REPLACED, 0);
}

void actor_describe_end(const struct actor *actor, int64_t how, int64_t code, char *text, size_t size) {
  char name[32] = "the main task";
  if (actor->worker) snprintf(name, sizeof name, "worker %lld", (long long)actor->id);
  if (how == HOW_SIGNALLED) snprintf(text, size, "%s was killed by signal %lld", name, (long long)code);
  else if (how == HOW_EXITED) snprintf(text, size, "%s exited with status %lld", name, (long long)code);
  else snprintf(text, size, "%s replaced itself or closed the agent's descriptors", name);
}

/**
 * Its pid is on the sheet (CLONE_PARENT_SETTID). The task can have written anything there, so only a child that is
 * nobody's is ended.
 */
void actor_end_unreported(const struct actor *actor) {
  const struct call *running = actor->running;
  if (running == NULL || (running->process == NULL && running->worker == NULL)) return;
  pid_t born = *(volatile int32_t *)&arena_page(&actor->arena)->born;
  if (child_is_ours(born) && !child_is_known(actor->agent, born)) stray_adopt(actor->agent, NULL, born);
}

void actor_ended(struct actor *actor, int64_t how, int64_t code) {
  char text[96];
  struct call *running = actor->running;
  actor_disconnect(actor);
  actor_end_unreported(actor);
  if (!actor->worker) {
    /* The next request gets a fresh task; what this one has become lives as long as the session that did it. */
    if (how == HOW_REPLACED) stray_adopt(actor->agent, running != NULL ? running->session : NULL, actor->pid);
    actor->pid = 0;
    struct task_gone_fields gone = {.actor = actor->id, .how = how, .code = code};
    session_broadcast(actor->agent, MESSAGE_TASK_GONE, &task_gone_fields_shape, &gone);
  }
  actor_describe_end(actor, how, code, text, sizeof text);
  actor->running = NULL;
  if (running != NULL) {
    arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
    call_fail(running, 0, text);
  }
  while (actor->first != NULL) call_fail(actor_take_first(actor), 0, text);
  if (actor->worker) worker_ended(actor, how, code);
}

bool actors_child_ended(struct agent *agent, pid_t pid, int64_t how, int64_t code) {
  bool known = false;
  struct actor *next = NULL;
  for (struct actor *actor = agent->actors; actor != NULL; actor = next) {
    next = actor->next;
    if (actor->pid != pid) continue;
    known = true;
    actor_ended(actor, how, code);
  }
  return known;
}
