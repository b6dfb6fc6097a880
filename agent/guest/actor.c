#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "birth.h"
#include "messages.h"
#include "process.h"
#include "worker.h"

#define MILLISECOND ((int64_t)1000000)
/** How often PID 1's root is compared when nothing was mounted lately. */
#define ROOT_CHECK_INTERVAL (100 * MILLISECOND)

struct actor *actor_create(struct agent *agent, int64_t id, bool worker) {
  struct actor *actor = calloc(1, sizeof *actor);
  if (actor == NULL) return NULL;
  actor->offered_arena = -1;
  actor->offered_passage = -1;
  actor->offered_bell = -1;
  if (!arena_map(&actor->arena, worker ? &actor->offered_arena : NULL)) {
    int error = errno;
    free(actor);
    errno = error;
    return NULL;
  }
  actor->agent = agent;
  actor->worker = worker;
  actor->next = agent->actors;
  agent->actors = actor;
  actor->id = id;
  actor->bell = -1;
  actor->answered = (struct watch){.fd = -1, .ready = actor_answered, .context = actor};
  actor->passage = (struct watch){.fd = -1, .ready = actor_hung_up, .context = actor};
  actor->hangup = (struct timer){.expired = actor_look_after_hangup, .context = actor};
  actor->program = (struct timer){.expired = actor_look_at_program, .context = actor};
  actor->nudge = (struct timer){.expired = actor_nudge, .context = actor};
  actor->deserted = (struct timer){.expired = actor_supersede, .context = actor};
  return actor;
}

struct actor *actor_find(const struct agent *agent, const struct session *session, int64_t id) {
  if (id == ACTOR_MAIN) return agent->main_task;
  for (struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    if (actor->worker && actor->session == session && actor->id == id) return actor;
  }
  return NULL;
}

void actor_close_offer(struct actor *actor) {
  int *offered[] = {&actor->offered_arena, &actor->offered_bell, &actor->offered_passage};
  for (int i = 0; i < 3; i++) {
    if (*offered[i] >= 0) close(*offered[i]);
    *offered[i] = -1;
  }
}

void actor_disconnect(struct actor *actor) {
  struct loop *loop = &actor->agent->loop;
  loop_disarm(loop, &actor->observe);
  actor_close_offer(actor);
  loop_disarm(loop, &actor->hangup);
  loop_disarm(loop, &actor->program);
  loop_disarm(loop, &actor->nudge);
  loop_disarm(loop, &actor->deserted);
  loop_close(loop, &actor->answered);
  loop_close(loop, &actor->passage);
  if (actor->bell >= 0) close(actor->bell);
  actor->bell = -1;
}

bool actor_start(struct actor *actor) {
  if (actor->pid > 0) return true;
  struct loop *loop = &actor->agent->loop;
  int bell[2] = {-1, -1};
  int passage[2] = {-1, -1};
  pid_t agent_pid = getpid();
  int answer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (answer < 0 || pipe2(bell, O_CLOEXEC) < 0 || fcntl(bell[1], F_SETFL, O_NONBLOCK) < 0) goto out;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, passage) < 0) goto out;

  pid_t pid = fork();
  if (pid == 0) task_born(actor->agent, agent_pid, actor->arena.base, bell[0], answer, passage[1]);
  if (pid < 0) goto out;
  close(bell[0]);
  close(passage[1]);
  actor->bell = bell[1];
  actor->pid = pid;
  actor->tid = pid;
  bool watched = loop_watch(loop, &actor->answered, answer, EPOLLIN | EPOLLET);
  if (!loop_watch(loop, &actor->passage, passage[0], EPOLLET) || !watched) kill(pid, SIGKILL);
  return true;
out:
  for (int i = 0; i < 2; i++) {
    if (bell[i] >= 0) close(bell[i]);
    if (passage[i] >= 0) close(passage[i]);
  }
  if (answer >= 0) close(answer);
  return false;
}

void actor_bury_if_over(struct actor *actor) {
  if (!actor->condemned || actor->calls > 0) return;
  arena_unmap(&actor->arena);
  loop_bury(&actor->agent->loop, &actor->grave, actor);
}

static void strike_off(struct actor *actor) {
  for (struct actor **at = &actor->agent->actors; *at != NULL; at = &(*at)->next) {
    if (*at == actor) {
      *at = actor->next;
      return;
    }
  }
}

void actor_condemn(struct actor *actor) {
  if (actor->condemned) return;
  strike_off(actor);
  actor_disconnect(actor);
  actor->condemned = true;
  actor_bury_if_over(actor);
}

void actor_destroy(struct actor *actor) {
  struct call *running = actor->running;
  if (actor->pid > 0 && !actor->thread) kill(actor->pid, SIGKILL);
  actor_end_unreported(actor);
  actor->running = NULL;
  if (running != NULL && running->process != NULL) process_discard(running->process);
  if (running != NULL && running->worker != NULL) worker_discard(running->worker);
  if (running != NULL) call_free(running);
  actor_condemn(actor);
}

void actor_submit(struct actor *actor, struct call *call) {
  call->next = NULL;
  if (actor->last != NULL) actor->last->next = call;
  else actor->first = call;
  actor->last = call;
  actor_advance(actor);
}

struct call *actor_take_first(struct actor *actor) {
  struct call *call = actor->first;
  actor->first = call->next;
  if (actor->first == NULL) actor->last = NULL;
  call->next = NULL;
  return call;
}

static uint32_t call_flags(struct agent *agent) {
  if (!agent->in_guest || agent->proc_fd < 0) return 0;
  struct timespec clock = {0};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &clock);
  int64_t now = (int64_t)clock.tv_sec * 1000000000 + clock.tv_nsec;
  if (now > agent->watch_root_until_ns && now < agent->root_checked_ns + ROOT_CHECK_INTERVAL) return 0;
  agent->root_checked_ns = now;
  return CALL_CHECK_ROOT;
}

static void ring_bell(const struct actor *actor) {
  const uint8_t ring = 0;
  while (write(actor->bell, &ring, sizeof ring) < 0 && errno == EINTR) continue;
}

static void ring(struct actor *actor, struct call *call) {
  struct arena_page *page = arena_page(&actor->arena);
  page->born = 0;
  page->call = (struct call_sheet){
      .number = ++actor->number,
      .kind = call->message->kind,
      .flags = call_flags(actor->agent),
      .small_reply_slot = (uint32_t)actor->small_reply_slot,
      .pid = actor->pid,
      .payload_offset = slot_offset((unsigned)call->slot) + call->payload_offset,
      .payload_size = call->size - call->payload_offset,
  };
  ring_bell(actor);
  worker_observe(actor);
}

void actor_ring_leave(struct actor *actor) {
  arena_page(&actor->arena)->call = (struct call_sheet){.kind = CALL_LEAVE};
  ring_bell(actor);
}

void actor_advance(struct actor *actor) {
  while (actor->running == NULL && actor->first != NULL && !actor->arena.busy[LARGE_REPLY_SLOT]) {
    if (!actor_start(actor)) {
      call_fail(actor_take_first(actor), EAGAIN, "cannot fork a task");
      continue;
    }
    actor->small_reply_slot = arena_claim_reply(&actor->arena);
    if (actor->small_reply_slot < 0) return;
    struct actor *worker = actor->first->worker;
    if (worker != NULL && !worker_offer(worker, actor)) {
      arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
      call_fail(actor_take_first(actor), EAGAIN, "the task takes no descriptors");
      continue;
    }
    actor->running = actor_take_first(actor);
    call_enter_arena(actor->running);
    ring(actor, actor->running);
  }
}
