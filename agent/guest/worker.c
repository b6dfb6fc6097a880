#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "passing.h"
#include "process.h"
#include "reap.h"
#include "session.h"

#define MILLISECOND ((int64_t)1000000)

static void look_at_thread(void *context);

struct actor *worker_create(struct session *session, int64_t id, bool thread) {
  struct agent *agent = session->agent;
  int passage[2] = {-1, -1};
  int bell[2] = {-1, -1};
  struct actor *worker = actor_create(agent, id, true);
  if (worker == NULL) return NULL;
  worker->thread = thread;
  worker->session = session;
  worker->spawning = true;
  worker->end_request = -1;
  worker->observe = (struct timer){.expired = look_at_thread, .context = worker};
  /* The worker reads it: it can ring no bell but by answering. */
  bool belled = pipe2(bell, O_CLOEXEC) == 0 && fcntl(bell[1], F_SETFL, O_NONBLOCK) == 0;
  worker->bell = bell[1];
  worker->offered_bell = bell[0];
  int answer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int paired = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, passage);
  bool watched = answer >= 0 && loop_watch(&agent->loop, &worker->answered, answer, EPOLLIN | EPOLLET);
  worker->offered_passage = passage[1];
  watched = paired == 0 && loop_watch(&agent->loop, &worker->passage, passage[0], EPOLLET) && watched;
  if (watched && belled) return worker;
  int error = errno;
  if (answer >= 0 && worker->answered.fd < 0) close(answer);
  actor_condemn(worker);
  errno = error;
  return NULL;
}

bool worker_offer(struct actor *worker, const struct actor *maker) {
  const int fds[OFFER_MAX] = {worker->offered_arena, worker->offered_bell, worker->answered.fd, worker->offered_passage};
  bool sent = pass_descriptors(maker->passage.fd, fds, OFFER_MAX);
  actor_close_offer(worker);
  return sent;
}

bool worker_started(struct actor *worker, const struct actor *maker, pid_t pid, pid_t tid) {
  if (worker->thread) {
    if (pid != maker->pid || tid <= 0 || syscall(SYS_tgkill, pid, tid, 0) < 0) return false;
  } else if (!child_is_ours(pid)) {
    return false;
  }
  worker->pid = pid;
  worker->tid = worker->thread ? tid : pid;
  worker->spawning = false;
  return true;
}

/** A fork dies; a thread that is at work is interrupted until it is back, and told to leave then. */
static void stop(struct actor *worker) {
  char text[48];
  worker->ending = true;
  if (!worker->thread || worker->gone) {
    kill(worker->pid, SIGKILL);
    return;
  }
  snprintf(text, sizeof text, "worker %lld was ended", (long long)worker->id);
  actor_fail_calls(worker, text);
  if (worker->running == NULL) worker_leave(worker);
}

void worker_discard(struct actor *worker) {
  worker->session = NULL;
  if (worker->ending) return;
  if (worker->pid <= 0) actor_condemn(worker);
  else stop(worker);
}

static void finish(struct actor *worker) {
  struct session *session = worker->session;
  if (session != NULL && worker->end_request >= 0) {
    session_push(session, MESSAGE_OK, ACTOR_IO, worker->end_request, &(struct shape){0}, NULL);
  }
  actor_condemn(worker);
}

void worker_ended(struct actor *worker, int64_t how, int64_t code) {
  bool told = worker->gone;
  worker->gone = true;
  worker->how = how;
  worker->code = code;
  /* What replaced itself still lives under its pid, and is killed when the worker is ended. */
  if (how != HOW_REPLACED || worker->thread) worker->pid = 0;
  if (worker->ending && worker->pid == 0) {
    finish(worker);
  } else if (worker->session == NULL) {
    worker_discard(worker);
  } else if (!told) {
    struct task_gone_fields gone = {.actor = worker->id, .how = how, .code = code};
    session_push(worker->session, MESSAGE_TASK_GONE, ACTOR_IO, 0, &task_gone_fields_shape, &gone);
  }
}

void worker_leave(struct actor *worker) {
  actor_ring_leave(worker);
  loop_arm(&worker->agent->loop, &worker->observe, MILLISECOND / 4);
}

void worker_observe(struct actor *worker) {
  if (worker->thread) loop_arm(&worker->agent->loop, &worker->observe, 10 * MILLISECOND);
}

static void look_at_thread(void *context) {
  struct actor *worker = context;
  if (worker->pid <= 0 || worker->gone) return;
  if (syscall(SYS_tgkill, worker->pid, worker->tid, 0) < 0 && errno == ESRCH) {
    actor_ended(worker, HOW_EXITED, 0);
  } else if (worker->ending && worker->running == NULL) {
    loop_arm(&worker->agent->loop, &worker->observe, MILLISECOND);
  } else if (worker->running != NULL) {
    worker_observe(worker);
  }
}

void workers_of_session_ended(struct session *session) {
  struct actor *next = NULL;
  for (struct actor *actor = session->agent->actors; actor != NULL; actor = next) {
    next = actor->next;
    if (!actor->worker || actor->session != session) continue;
    /* One that a task is making at this moment is discarded when the task answers. */
    if (actor->spawning) actor->session = NULL;
    else worker_discard(actor);
  }
}

void worker_end_request(struct session *session, const struct frame_head *head,
                        const struct worker_end_fields *request) {
  struct actor *worker = actor_find(session->agent, session, request->worker);
  if (worker == NULL || (worker->gone && worker->pid <= 0)) {
    if (worker != NULL && worker->worker) actor_condemn(worker);
    session_push(session, MESSAGE_OK, head->actor, head->request_id, &(struct shape){0}, NULL);
  } else if (!worker->worker || worker->spawning || worker->ending) {
    session_refuse(session, head->actor, head->request_id, EBUSY, "WORKER_END", "actor %lld is %s",
                   (long long)request->worker,
                   !worker->worker ? "no worker" : worker->spawning ? "being made" : "being ended");
  } else {
    worker->end_request = head->request_id;
    stop(worker);
  }
}
