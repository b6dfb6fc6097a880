#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor.h"
#include "messages.h"
#include "passing.h"
#include "process.h"
#include "reap.h"
#include "session.h"
#include "worker.h"

/** What a task answers: read once, checked, and passed on; and the taking over of what it has made. */

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
  if (child_is_known(call->actor->agent, pid)) pid = -1;
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
  if (!call->worker->thread && child_is_known(call->actor->agent, pid)) pid = -1;
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
  call_release_request(call);
  session_answer(call);
  if (alone) session_hold(session);
  if (process != NULL && (!made || session == NULL)) process_discard(process);
  if (worker != NULL && (!made || session == NULL || worker->session == NULL)) worker_discard(worker);
}

void actor_answered(void *context, uint32_t events) {
  struct actor *actor = context;
  struct call *call = actor->running;
  (void)events;
  if (call == NULL) return;
  const struct arena_page *page = arena_page(&actor->arena);
  struct answer_sheet answer = *(const volatile struct answer_sheet *)&page->answer;
  /* The bell of a task that is gone, or one that a test has rung; or there will be no answer. */
  if (answer.number != actor->number) {
    if (*(const volatile uint64_t *)&page->executes == actor->number) actor_look_at_program(actor);
    return;
  }
  loop_disarm(&actor->agent->loop, &actor->program);
  loop_disarm(&actor->agent->loop, &actor->nudge);
  loop_disarm(&actor->agent->loop, &actor->deserted);
  actor->running = NULL;

  if (answer.slot == LARGE_REPLY_SLOT) {
    arena_release(&actor->arena, (unsigned)actor->small_reply_slot, 0);
    actor->arena.busy[LARGE_REPLY_SLOT] = true;
    call->reply_slot = LARGE_REPLY_SLOT;
  } else {
    call->reply_slot = actor->small_reply_slot;
  }
  bool sane = (answer.kind == MESSAGE_OK || answer.kind == MESSAGE_ERROR) &&
              answer.payload_size <= slot_capacity((unsigned)call->reply_slot) &&
              answer.payload_size <= MAX_FRAME_BYTES - FRAME_HEAD_MAX;
  bool starting = call->process != NULL || call->worker != NULL;
  int error = 0;
  const char *failure = sane ? NULL : "the task's answer is damaged";
  if (sane && answer.kind == MESSAGE_OK) {
    if (call->process != NULL) failure = take_over(call, &answer, &error);
    else if (call->worker != NULL) failure = take_worker(call, &answer);
  }
  if (failure == NULL) pass_on(call, &answer);
  else call_fail(call, error, failure);
  /* It may have ended, or never have become its program: children were left alone until it was known. */
  if (starting) children_reap(actor->agent);
  /* Its own process may have been among them. */
  if (actor->condemned) return;
  if (actor->ending && actor->thread) worker_leave(actor);
  else actor_advance(actor);
}
