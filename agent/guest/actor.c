#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "birth.h"
#include "messages.h"
#include "passing.h"
#include "process.h"
#include "session.h"
#include "worker.h"

#define MAX_QUEUED_CALLS 256
#define MAX_QUEUED_BYTES ((size_t)32 * 1024 * 1024)
#define MILLISECOND ((int64_t)1000000)
/** How often PID 1's root is compared when nothing was mounted lately. */
#define ROOT_CHECK_INTERVAL (100 * MILLISECOND)

static void answered(void *context, uint32_t events);
static void passage_hangup(void *context, uint32_t events);
static void look_after_hangup(void *context);
static void nudge(void *context);

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
  actor->answered = (struct watch){.fd = -1, .ready = answered, .context = actor};
  actor->passage = (struct watch){.fd = -1, .ready = passage_hangup, .context = actor};
  actor->hangup = (struct timer){.expired = look_after_hangup, .context = actor};
  actor->nudge = (struct timer){.expired = nudge, .context = actor};
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

static void close_connections(struct actor *actor) {
  struct loop *loop = &actor->agent->loop;
  loop_disarm(loop, &actor->observe);
  actor_close_offer(actor);
  loop_disarm(loop, &actor->hangup);
  loop_disarm(loop, &actor->nudge);
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

struct call *call_create(struct actor *actor, size_t size) {
  if (actor->queued_calls >= MAX_QUEUED_CALLS || size > MAX_QUEUED_BYTES - actor->queued_bytes) return NULL;
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) return NULL;
  call->actor = actor;
  call->size = size;
  call->reply_slot = -1;
  call->slot = arena_claim_request(&actor->arena, size);
  if (call->slot < 0) {
    call->heap = malloc(size);
    if (call->heap == NULL) {
      free(call);
      return NULL;
    }
  }
  actor->calls++;
  actor->queued_calls++;
  actor->queued_bytes += size;
  return call;
}

uint8_t *call_body(const struct call *call) {
  return call->slot >= 0 ? arena_slot(&call->actor->arena, (unsigned)call->slot) : call->heap;
}

static void release_request(struct call *call) {
  struct actor *actor = call->actor;
  if (call->slot < 0 && call->heap == NULL) return;
  if (call->slot >= 0) arena_release(&actor->arena, (unsigned)call->slot, call->size);
  free(call->heap);
  call->slot = -1;
  call->heap = NULL;
  actor->queued_calls--;
  actor->queued_bytes -= call->size;
}

static void bury_if_over(struct actor *actor) {
  if (!actor->condemned || actor->calls > 0) return;
  arena_unmap(&actor->arena);
  loop_bury(&actor->agent->loop, &actor->grave, actor);
}

void call_free(struct call *call) {
  struct actor *actor = call->actor;
  release_request(call);
  if (call->reply_slot >= 0) arena_release(&actor->arena, (unsigned)call->reply_slot, call->reply_size);
  free(call);
  actor->calls--;
  bury_if_over(actor);
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
  close_connections(actor);
  actor->condemned = true;
  bury_if_over(actor);
}

void actor_destroy(struct actor *actor) {
  struct call *running = actor->running;
  if (actor->pid > 0 && !actor->thread) kill(actor->pid, SIGKILL);
  actor->running = NULL;
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

static struct call *take_first(struct actor *actor) {
  struct call *call = actor->first;
  actor->first = call->next;
  if (actor->first == NULL) actor->last = NULL;
  call->next = NULL;
  return call;
}

static void fail_call(struct call *call, int error, const char *message) {
  if (call->session != NULL) {
    session_refuse(call->session, call->actor->id, call->request_id, error, call->message->name, "%s", message);
  }
  if (call->process != NULL) process_discard(call->process);
  if (call->worker != NULL) worker_discard(call->worker);
  call_free(call);
}

/** Moves a body that arrived while every slot was taken into the one that nobody else can hold meanwhile. */
static void move_into_arena(struct actor *actor, struct call *call) {
  if (call->slot >= 0) return;
  call->slot = SPARE_REQUEST_SLOT;
  memcpy(arena_slot(&actor->arena, SPARE_REQUEST_SLOT), call->heap, call->size);
  free(call->heap);
  call->heap = NULL;
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
      fail_call(take_first(actor), EAGAIN, "cannot fork a task");
      continue;
    }
    actor->small_reply_slot = arena_claim_reply(&actor->arena);
    if (actor->small_reply_slot < 0) return;
    struct actor *worker = actor->first->worker;
    if (worker != NULL && !worker_offer(worker, actor)) {
      arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
      fail_call(take_first(actor), EAGAIN, "the task takes no descriptors");
      continue;
    }
    actor->running = take_first(actor);
    move_into_arena(actor, actor->running);
    ring(actor, actor->running);
  }
}

/**
 * Descriptors that came with the answer, in the order of enum passed_fd; -1 where there is none. False when some
 * are missing: the agent may have no room for more.
 */
static bool receive_passed(struct actor *actor, uint32_t mask, int fds[PASSED_MAX]) {
  int received[PASSED_MAX];
  for (int i = 0; i < PASSED_MAX; i++) fds[i] = -1;
  int count = take_descriptors(actor->passage.fd, received, PASSED_MAX);
  int used = 0;
  for (int i = 0; i < PASSED_MAX; i++) {
    if ((mask & (1U << i)) == 0 || used >= count) continue;
    fds[i] = received[used++];
    mask &= ~(1U << i);
  }
  while (used < count) close(received[used++]);
  return mask == 0;
}

/** The pid that a pidfd stands for, as this process sees it. */
static pid_t pid_of(const struct agent *agent, int pidfd) {
  char text[256] = {0};
  char path[32];
  int pid = -1;
  snprintf(path, sizeof path, "self/fdinfo/%d", pidfd);
  int fd = agent->proc_fd >= 0 ? openat(agent->proc_fd, path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return -1;
  if (read(fd, text, sizeof text - 1) > 0) {
    const char *line = strstr(text, "Pid:");
    if (line == NULL || sscanf(line, "Pid: %d", &pid) != 1) pid = -1;
  }
  close(fd);
  return pid;
}

/** Whose birth an answer reports: what its pidfd says, else its own word. */
static pid_t born_pid(const struct actor *actor, const struct answer_sheet *answer, int pidfd) {
  if (pidfd < 0) return answer->pid;
  pid_t pid = pid_of(actor->agent, pidfd);
  close(pidfd);
  return pid;
}

/** Takes over the process that the task started. NULL on success, else why not, with `*error` an errno. */
static const char *take_over(struct call *call, const struct answer_sheet *answer, int *error) {
  int fds[PASSED_MAX];
  /* Whatever the task says: a stream has an output, a command has both. */
  uint32_t pipes = call->message->kind == MESSAGE_PROC_START ? PASSED_STDOUT | PASSED_STDERR : PASSED_STDOUT;
  bool complete = receive_passed(call->actor, answer->passed_fds | pipes, fds);
  pid_t pid = born_pid(call->actor, answer, fds[3]);
  if (!process_started(call->process, pid, fds[0], fds[1], fds[2])) return "the task's answer is damaged";
  if (complete) return NULL;
  *error = EMFILE;
  return "the agent has no descriptors left for the pipes of a command";
}

/** Takes over the worker that the task made; as above. A thread has nothing to pass. */
static const char *take_worker(struct call *call, const struct answer_sheet *answer) {
  int fds[PASSED_MAX] = {-1, -1, -1, -1};
  if (answer->passed_fds != 0) receive_passed(call->actor, answer->passed_fds, fds);
  for (int i = 0; i < 3; i++) {
    if (fds[i] >= 0) close(fds[i]);
  }
  pid_t pid = born_pid(call->actor, answer, fds[3]);
  return worker_started(call->worker, call->actor, pid, answer->tid) ? NULL : "the task's answer is damaged";
}

static void pass_on(struct call *call, const struct answer_sheet *answer) {
  struct session *session = call->session;
  struct process *process = call->process;
  struct actor *worker = call->worker;
  bool made = answer->kind == MESSAGE_OK;
  bool alone = process != NULL && made && session != NULL && session_idle(session);
  call->answer_kind = worker != NULL && made ? MESSAGE_WORKER_STARTED : answer->kind;
  call->reply_size = answer->payload_size;
  call->process = NULL;
  call->worker = NULL;
  release_request(call);
  session_answer(call);
  if (alone) session_hold(session);
  if (process != NULL && (!made || session == NULL)) process_discard(process);
  if (worker != NULL && (!made || session == NULL || worker->session == NULL)) worker_discard(worker);
}

static void answered(void *context, uint32_t events) {
  struct actor *actor = context;
  struct call *call = actor->running;
  (void)events;
  if (call == NULL) return;
  struct answer_sheet answer = *(volatile struct answer_sheet *)&arena_page(&actor->arena)->answer;
  /* The bell of a task that is gone, or one that a test has rung. */
  if (answer.number != actor->number) return;
  loop_disarm(&actor->agent->loop, &actor->nudge);
  actor->running = NULL;

  if (answer.slot == LARGE_REPLY_SLOT) {
    arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
    actor->arena.busy[LARGE_REPLY_SLOT] = true;
    call->reply_slot = LARGE_REPLY_SLOT;
  } else {
    call->reply_slot = actor->small_reply_slot;
  }
  bool sane = (answer.kind == MESSAGE_OK || answer.kind == MESSAGE_ERROR) &&
              answer.payload_size <= slot_capacity((unsigned)call->reply_slot) - SLOT_HEADROOM &&
              answer.payload_size <= MAX_FRAME_BYTES - FRAME_HEAD_MAX;
  bool starting = call->process != NULL || call->worker != NULL;
  int error = 0;
  const char *failure = sane ? NULL : "the task's answer is damaged";
  if (sane && answer.kind == MESSAGE_OK) {
    if (call->process != NULL) failure = take_over(call, &answer, &error);
    else if (call->worker != NULL) failure = take_worker(call, &answer);
  }
  if (failure == NULL) pass_on(call, &answer);
  else fail_call(call, error, failure);
  /* It may have ended, or never have become its program: children were left alone until it was known. */
  if (starting) processes_reap(actor->agent);
  if (actor->ending && actor->thread) worker_leave(actor);
  else actor_advance(actor);
}

static void passage_hangup(void *context, uint32_t events) {
  struct actor *actor = context;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) loop_arm(&actor->agent->loop, &actor->hangup, 5 * MILLISECOND);
}

/**
 * The task's descriptors are gone. If it is on its way out, SIGCHLD will say so; if it still has a memory
 * image it has executed another program or closed what was not its own, and serves no more.
 */
static void look_after_hangup(void *context) {
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

void actor_describe_end(const struct actor *actor, int64_t how, int64_t code, char *text, size_t size) {
  char name[32] = "the main task";
  if (actor->worker) snprintf(name, sizeof name, "worker %lld", (long long)actor->id);
  if (how == HOW_SIGNALLED) snprintf(text, size, "%s was killed by signal %lld", name, (long long)code);
  else if (how == HOW_EXITED) snprintf(text, size, "%s exited with status %lld", name, (long long)code);
  else snprintf(text, size, "%s replaced itself or closed the agent's descriptors", name);
}

void actor_fail_calls(struct actor *actor, const char *text) {
  struct call *running = actor->running;
  if (running != NULL && running->session != NULL) {
    session_refuse(running->session, actor->id, running->request_id, 0, running->message->name, "%s", text);
    running->session = NULL;
  }
  if (running != NULL) nudge(actor);
  while (actor->first != NULL) fail_call(take_first(actor), 0, text);
}

void actor_ended(struct actor *actor, int64_t how, int64_t code) {
  char text[96];
  close_connections(actor);
  if (!actor->worker) {
    actor->pid = 0;
    struct task_gone_fields gone = {.actor = actor->id, .how = how, .code = code};
    session_broadcast(actor->agent, MESSAGE_TASK_GONE, &task_gone_fields_shape, &gone);
  }
  actor_describe_end(actor, how, code, text, sizeof text);
  struct call *running = actor->running;
  actor->running = NULL;
  if (running != NULL) {
    arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
    fail_call(running, 0, text);
  }
  while (actor->first != NULL) fail_call(take_first(actor), 0, text);
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

/** A signal that arrives just before the blocking call is lost: repeated until the task is back. */
static void nudge(void *context) {
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
    nudge(actor);
    return true;
  }
  struct call *previous = NULL;
  for (struct call *call = actor->first; call != NULL; previous = call, call = call->next) {
    if (call->session != session || call->request_id != request_id) continue;
    if (previous != NULL) previous->next = call->next;
    else actor->first = call->next;
    if (actor->last == call) actor->last = previous;
    fail_call(call, ECANCELED, "canceled");
    return true;
  }
  return false;
}

void actor_forget_session(struct actor *actor, const struct session *session) {
  if (actor->running != NULL && actor->running->session == session) {
    actor->running->session = NULL;
    nudge(actor);
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
