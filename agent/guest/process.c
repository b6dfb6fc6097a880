#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "output.h"
#include "reap.h"
#include "session.h"
#include "stdin.h"

#define MILLISECOND ((int64_t)1000000)

void process_kill(const struct process *process, int number) {
  if (process->pid <= 0 || !process->running) return;
  if (kill(-process->pid, number) < 0) kill(process->pid, number);
}

static void deadline_passed(void *context) {
  struct process *process = context;
  process->timed_out = true;
  process_kill(process, SIGKILL);
}

static void grace_passed(void *context) { process_kill(context, SIGKILL); }

struct process *process_find(const struct agent *agent, const struct session *session, int64_t handle) {
  for (struct process *process = agent->processes; process != NULL; process = process->next) {
    if (process->session == session && process->handle == handle) return process;
  }
  return NULL;
}

struct process *process_create(struct session *session, const struct process_plan *plan) {
  struct process *process = calloc(1, sizeof *process);
  if (process == NULL) return NULL;
  struct agent *agent = session->agent;
  process->agent = agent;
  process->session = session;
  process->handle = plan->handle;
  process->timeout_ms = plan->timeout_ms;
  process->ends_with_exit = plan->ends_with_exit;
  process->deadline = (struct timer){.expired = deadline_passed, .context = process};
  process->grace = (struct timer){.expired = grace_passed, .context = process};
  process->close_request = -1;
  for (int number = STREAM_STDOUT; number <= STREAM_STDERR; number++) stream_init(process, number, plan->window);
  stdin_init(process, plan->stdin_open);
  if (plan->stdin_data.size > 0 && !stdin_queue(process, -1, plan->stdin_data, false)) {
    free(process);
    return NULL;
  }
  process->next = agent->processes;
  agent->processes = process;
  return process;
}

void process_free(struct process *process) {
  struct agent *agent = process->agent;
  if (process->freed) return;
  process->freed = true;
  for (struct process **at = &agent->processes; *at != NULL; at = &(*at)->next) {
    if (*at == process) {
      *at = process->next;
      break;
    }
  }
  loop_disarm(&agent->loop, &process->deadline);
  loop_disarm(&agent->loop, &process->grace);
  for (int i = 0; i < 2; i++) loop_close(&agent->loop, &process->streams[i].watch);
  stdin_end(process, EPIPE);
  loop_bury(&agent->loop, &process->grave, process);
}

void process_free_when_done(struct process *process) {
  bool told = process->pid > 0 && !process->running && process->streams[0].ended && process->streams[1].ended;
  if (told) process_free(process);
}

bool process_started(struct process *process, pid_t pid, int stdout_fd, int stderr_fd, int stdin_fd) {
  bool opened = stream_open(&process->streams[0], stdout_fd) & stream_open(&process->streams[1], stderr_fd);
  if (!child_is_ours(pid)) {
    if (stdin_fd >= 0) close(stdin_fd);
    return false;
  }
  process->pid = pid;
  process->running = true;
  if (process->timeout_ms > 0) {
    int64_t most = INT64_MAX / MILLISECOND;
    int64_t timeout = process->timeout_ms < most ? process->timeout_ms : most;
    loop_arm(&process->agent->loop, &process->deadline, timeout * MILLISECOND);
  }
  stdin_started(process, stdin_fd);
  if (!opened) process_kill(process, SIGKILL);
  return true;
}

/** The session hears no more of it. */
static void detach(struct process *process) {
  process->session = NULL;
  for (int i = 0; i < 2; i++) {
    loop_close(&process->agent->loop, &process->streams[i].watch);
    process->streams[i].ended = true;
  }
  stdin_end(process, EPIPE);
}

void process_discard(struct process *process) {
  if (process->freed) return;
  detach(process);
  if (process->running) process_kill(process, SIGKILL);
  else process_free(process);
}

void processes_of_session_ended(struct session *session) {
  struct process *next = NULL;
  for (struct process *process = session->agent->processes; process != NULL; process = next) {
    next = process->next;
    if (process->session != session) continue;
    /* One that a task is starting at this moment is discarded when the task answers. */
    if (process->pid == 0) detach(process);
    else process_discard(process);
  }
}

void processes_abandon(struct agent *agent) {
  while (agent->processes != NULL) {
    process_kill(agent->processes, SIGKILL);
    process_free(agent->processes);
  }
}

static void tell_exit(struct process *process) {
  struct session *session = process->session;
  struct exit_fields fields = {.process = process->handle, .how = process->how, .code = process->code,
                               .timed_out = process->timed_out};
  session_push(session, MESSAGE_EXIT, ACTOR_IO, 0, &exit_fields_shape, &fields);
  if (process->closing) session_push(session, MESSAGE_OK, ACTOR_IO, process->close_request, &(struct shape){0}, NULL);
}

void process_ended(struct process *process, int64_t how, int64_t code) {
  process->running = false;
  process->how = how;
  process->code = code;
  for (int i = 0; i < 2; i++) process->streams[i].readable = !process->streams[i].ended;
  loop_disarm(&process->agent->loop, &process->deadline);
  loop_disarm(&process->agent->loop, &process->grace);
  if (process->session == NULL) {
    process_free(process);
    return;
  }
  /* As long as one of the group lives, its number is given to nobody else. */
  if (process->closing) kill(-process->pid, SIGKILL);
  tell_exit(process);
  if (process->closing) process_free(process);
  else process_free_when_done(process);
}
