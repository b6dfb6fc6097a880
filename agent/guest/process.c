#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"
#include "frame.h"
#include "session.h"
#include "stdin.h"

#define MILLISECOND ((int64_t)1000000)
/** Most that one stream sends in its turn. */
#define PIECE ((size_t)64 * 1024)
/** What is collected before it is sent: the commands whose turn did not come are the first next time. */
#define ROUND ((size_t)512 * 1024)
/** A stream that has carried this much gets a larger pipe: fewer switches between the command and the agent. */
#define WIDEN_AFTER ((uint64_t)256 * 1024)
#define WIDE_PIPE (512 * 1024)
#define MAX_CREDIT ((int64_t)1 << 40)

static void stream_ready(void *context, uint32_t events) {
  struct stream *stream = context;
  stream->readable = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) stream->hung_up = true;
}

static void kill_group(const struct process *process, int number) {
  if (process->pid <= 0 || !process->running) return;
  if (kill(-process->pid, number) < 0) kill(process->pid, number);
}

static void deadline_passed(void *context) {
  struct process *process = context;
  process->timed_out = true;
  kill_group(process, SIGKILL);
}

static void grace_passed(void *context) { kill_group(context, SIGKILL); }

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
  for (int i = 0; i < 2; i++) {
    struct stream *stream = &process->streams[i];
    *stream = (struct stream){.process = process, .number = i + 1, .credit = plan->window};
    stream->watch = (struct watch){.fd = -1, .ready = stream_ready, .context = stream};
  }
  stdin_init(process, plan->stdin_open);
  if (plan->stdin_data.size > 0 && !stdin_queue(process, -1, plan->stdin_data, false)) {
    free(process);
    return NULL;
  }
  process->next = agent->processes;
  agent->processes = process;
  return process;
}

static void process_free(struct process *process) {
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

/** A handle whose story has been told to the end frees itself. */
static void free_when_done(struct process *process) {
  bool told = process->pid > 0 && !process->running && process->streams[0].ended && process->streams[1].ended;
  if (told) process_free(process);
}

/** It counts as readable until a read says otherwise: that of a short command is never watched at all. */
static bool open_stream(struct stream *stream, int fd) {
  stream->ended = fd < 0;
  stream->readable = fd >= 0;
  stream->watch.fd = fd;
  return fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/** The pipe is empty: the next write to it is an event, and so is its end. */
static void await_more(struct stream *stream) {
  struct loop *loop = &stream->process->agent->loop;
  stream->readable = false;
  if (!stream->watch.registered && !loop_watch(loop, &stream->watch, stream->watch.fd, EPOLLIN | EPOLLET)) {
    stream->readable = true;
  }
}

bool process_is_ours(pid_t pid) {
  siginfo_t info = {0};
  return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool process_started(struct process *process, pid_t pid, int stdout_fd, int stderr_fd, int stdin_fd) {
  bool opened = open_stream(&process->streams[0], stdout_fd) & open_stream(&process->streams[1], stderr_fd);
  if (!process_is_ours(pid)) {
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
  if (!opened) kill_group(process, SIGKILL);
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
  if (process->running) kill_group(process, SIGKILL);
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
    kill_group(agent->processes, SIGKILL);
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

static void process_ended(struct process *process, int64_t how, int64_t code) {
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
  else free_when_done(process);
}

static bool child_ended(struct agent *agent, const siginfo_t *info) {
  int64_t how = info->si_code == CLD_EXITED ? HOW_EXITED : HOW_SIGNALLED;
  if (actors_child_ended(agent, info->si_pid, how, info->si_status)) return true;
  for (struct process *process = agent->processes; process != NULL; process = process->next) {
    if (!process->running || process->pid != info->si_pid) continue;
    process_ended(process, how, info->si_status);
    return true;
  }
  return false;
}

static void reap_all(struct agent *agent) {
  siginfo_t info = {0};
  while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
    child_ended(agent, &info);
    info.si_pid = 0;
  }
}

/** Reaps one child if it has ended. */
static bool reap(struct agent *agent, pid_t pid) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) return false;
  child_ended(agent, &info);
  return true;
}

/** Reaps one of those that are known to be children. False when none has ended. */
static bool reap_one_known(struct agent *agent) {
  for (struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    if (actor->pid > 0 && !actor->thread && reap(agent, actor->pid)) return true;
  }
  for (struct process *process = agent->processes; process != NULL; process = process->next) {
    if (process->running && reap(agent, process->pid)) return true;
  }
  return false;
}

/** A child that nobody knows may be one whose start a task has not reported yet. */
static bool starting(const struct agent *agent) {
  for (const struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    const struct call *call = actor->running;
    if (call != NULL && (call->process != NULL || call->worker != NULL)) return true;
  }
  return false;
}

void processes_reap(struct agent *agent) {
  if (!starting(agent)) {
    reap_all(agent);
    return;
  }
  while (reap_one_known(agent)) continue;
}

static void end_stream(struct stream *stream) {
  loop_close(&stream->process->agent->loop, &stream->watch);
  stream->readable = false;
  stream->ended = true;
}

static size_t begin_data(const struct stream *stream, struct buffer *out) {
  size_t start = frame_begin(out, MESSAGE_DATA, ACTOR_IO, 0);
  msgpack_write_array(out, data_fields_shape.count);
  msgpack_write_int(out, stream->process->handle);
  msgpack_write_int(out, stream->number);
  return start;
}

static void tell_end(const struct stream *stream, struct buffer *out) {
  size_t start = begin_data(stream, out);
  msgpack_write_bytes(out, "", 0);
  msgpack_write_bool(out, true);
  frame_end(out, start, 0);
}

/** Whoever has the other end of the pipe, nothing more is expected of it. */
static bool said_all(const struct stream *stream) { return stream->process->ends_with_exit && !stream->process->running; }

/** The pipe is empty and nobody will write to it again: the end can be told without any credit. */
static bool nothing_left(const struct stream *stream) {
  struct pollfd pipe = {.fd = stream->watch.fd, .events = POLLIN};
  int count = poll(&pipe, 1, 0);
  return count == 1 ? (pipe.revents & POLLIN) == 0 : count == 0 && said_all(stream);
}

/** Reads a piece of the pipe straight into the DATA frame that carries it. */
static void carry(struct stream *stream, struct buffer *out) {
  size_t wanted = stream->credit < (int64_t)PIECE ? (size_t)stream->credit : PIECE;
  if (wanted == 0) {
    if (!stream->process->running && nothing_left(stream)) {
      end_stream(stream);
      tell_end(stream, out);
    }
    return;
  }
  if (!buffer_reserve(out, wanted + FRAME_PREFIX + FRAME_HEAD_MAX + 64)) return;
  struct buffer before = *out;
  size_t start = begin_data(stream, out);
  size_t size_at = out->size;
  msgpack_write_bin32(out, 0);
  ssize_t count = read(stream->watch.fd, buffer_end(out), wanted);
  if (count <= 0) {
    *out = before;
    bool empty = count < 0 && errno == EAGAIN;
    if (empty && !said_all(stream)) await_more(stream);
    if (count < 0 && (errno == EINTR || (empty && !said_all(stream)))) return;
    end_stream(stream);
    tell_end(stream, out);
    return;
  }
  out->size = size_at;
  msgpack_write_bin32(out, (uint32_t)count);
  out->size += (size_t)count;
  msgpack_write_bool(out, false);
  frame_end(out, start, 0);

  stream->credit -= count;
  stream->carried += (uint64_t)count;
  /* Less than was asked for: the pipe is empty. Until the command has ended that is not its end. */
  if ((size_t)count < wanted && !stream->hung_up && stream->process->running) await_more(stream);
  if (!stream->widened && stream->carried > WIDEN_AFTER) {
    stream->widened = true;
    fcntl(stream->watch.fd, F_SETPIPE_SZ, WIDE_PIPE);
  }
}

/** Turns the list of commands so that `first` is at its front. */
static void begin_with(struct agent *agent, struct process *first) {
  struct process *front = agent->processes;
  struct process **at = &agent->processes;
  if (front == first) return;
  while (*at != first) at = &(*at)->next;
  *at = NULL;
  at = &first->next;
  while (*at != NULL) at = &(*at)->next;
  *at = front;
  agent->processes = first;
}

void process_collect_output(struct session *session, struct buffer *out) {
  struct process *next = NULL;
  for (struct process *process = session->agent->processes; process != NULL; process = next) {
    next = process->next;
    if (process->session != session) continue;
    if (buffer_length(out) >= ROUND) {
      begin_with(session->agent, process);
      return;
    }
    for (int i = 0; i < 2; i++) {
      if (process->streams[i].readable) carry(&process->streams[i], out);
    }
    free_when_done(process);
  }
}

static struct process *find_or_refuse(struct session *session, const struct frame_head *head, int64_t handle,
                                      int error, const char *operation) {
  struct process *process = process_find(session->agent, session, handle);
  if (process == NULL) {
    session_refuse(session, head->actor, head->request_id, error, operation, "process %lld is gone", (long long)handle);
  }
  return process;
}

static void acknowledge(struct session *session, const struct frame_head *head) {
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &(struct shape){0}, NULL);
}

void process_signal(struct session *session, const struct frame_head *head, const struct proc_signal_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, ESRCH, "kill");
  if (process == NULL) return;
  bool valid = request->signal >= 0 && request->signal <= SIGRTMAX;
  int error = valid ? ESRCH : EINVAL;
  if (valid && process->running) {
    int number = (int)request->signal;
    error = kill(request->group ? -process->pid : process->pid, number) < 0 ? errno : 0;
  }
  if (error == 0) acknowledge(session, head);
  else session_refuse(session, head->actor, head->request_id, error, "kill", "%s", strerror(error));
}

void process_stdin(struct session *session, const struct frame_head *head, const struct proc_stdin_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, EPIPE, "write");
  if (process == NULL) return;
  if (!process->stdin_keep) {
    session_refuse(session, head->actor, head->request_id, EPIPE, "write", "standard input is closed");
  } else if (!stdin_queue(process, head->request_id, request->data, request->close)) {
    session_refuse(session, head->actor, head->request_id, EAGAIN, "write", "too much input is waiting");
  } else {
    stdin_push(process);
  }
}

void process_status(struct session *session, const struct frame_head *head, const struct proc_status_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, ESRCH, "status");
  if (process == NULL) return;
  struct proc_status_reply reply = {.pid = process->pid, .running = process->running || process->pid == 0,
                                    .how = process->how, .code = process->code};
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &proc_status_reply_shape, &reply);
}

void process_close(struct session *session, const struct frame_head *head, const struct proc_close_fields *request) {
  struct process *process = process_find(session->agent, session, request->process);
  if (process == NULL) {
    acknowledge(session, head);
    return;
  }
  if (process->pid == 0 || process->closing) {
    session_refuse(session, head->actor, head->request_id, EBUSY, "close", "the process is %s",
                   process->closing ? "being closed" : "being started");
    return;
  }
  if (!process->running) {
    process_free(process);
    acknowledge(session, head);
    return;
  }
  process->closing = true;
  process->close_request = head->request_id;
  kill_group(process, request->grace_ms > 0 ? SIGTERM : SIGKILL);
  if (request->grace_ms > 0) {
    int64_t grace = request->grace_ms < 3600000 ? request->grace_ms : 3600000;
    loop_arm(&process->agent->loop, &process->grace, grace * MILLISECOND);
  }
}

void process_credit(struct session *session, const struct credit_fields *request) {
  struct process *process = process_find(session->agent, session, request->process);
  if (process == NULL || request->stream < 1 || request->stream > 2 || request->bytes <= 0) return;
  struct stream *stream = &process->streams[request->stream - 1];
  int64_t room = MAX_CREDIT - stream->credit;
  stream->credit += request->bytes < room ? request->bytes : room;
}

bool process_cancel(struct session *session, int64_t request_id) {
  for (struct process *process = session->agent->processes; process != NULL; process = process->next) {
    if (process->session != session) continue;
    if (stdin_cancel(process, request_id)) return true;
    if (process->closing && process->close_request == request_id) {
      process->closing = false;
      session_refuse(session, ACTOR_IO, request_id, ECANCELED, "close", "canceled");
      return true;
    }
  }
  return false;
}
