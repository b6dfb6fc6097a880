#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "messages.h"
#include "network.h"
#include "output.h"
#include "parking.h"
#include "process.h"
#include "strays.h"
#include "worker.h"

#define INPUT_SIZE ((size_t)64 * 1024)
/** Answers up to this size are copied, so that several leave in one write. */
#define COPY_MAX ((size_t)4096)
/** With this much waiting for the host, no more requests are read. */
#define PAUSE_BYTES ((size_t)1024 * 1024)
/** An echo of the largest frame and then some: reached only when the host asks without ever reading. */
#define CONTROL_MAX ((size_t)40 * 1024 * 1024)

/** Bytes that one session sends before the others, and whatever else happens, get their turn. */
#define FLUSH_BYTES ((size_t)1024 * 1024)

/** Events that the start of a command may take until it is over; more means that others are kept waiting. */
#define HOLD_TURNS 8

static void ready(void *context, uint32_t events) {
  struct session *session = context;
  if ((events & EPOLLOUT) != 0) session->blocked = false;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) session_receive(session, events);
}

struct session *session_open(struct agent *agent, int fd, bool serial) {
  struct session *session = calloc(1, sizeof *session);
  if (session == NULL) goto out;
  session->agent = agent;
  session->id = ++agent->next_session;
  session->serial = serial;
  session->park_request = -1;
  session->synced = !serial;
  session->watch = (struct watch){.fd = -1, .ready = ready, .context = session};
  session->watched = EPOLLIN;
  buffer_init(&session->in, INPUT_SIZE);
  buffer_init(&session->control, CONTROL_MAX);
  buffer_init(&session->out, CONTROL_MAX);
  if (!buffer_reserve(&session->in, INPUT_SIZE)) goto out;
  if (!loop_watch(&agent->loop, &session->watch, fd, EPOLLIN)) goto out;
  session->next = agent->sessions;
  agent->sessions = session;
  if (!serial) session_send_ready(session, 0);
  return session;
out:
  if (session != NULL) buffer_free(&session->in);
  free(session);
  close(fd);
  return NULL;
}

static void release_answers(struct session *session) {
  if (session->sending != NULL) call_free(session->sending);
  session->sending = NULL;
  while (session->answers != NULL) {
    struct call *call = session->answers;
    session->answers = call->next;
    call_free(call);
  }
}

void session_drop(struct session *session) {
  struct agent *agent = session->agent;
  session_forget_frame(session);
  for (struct actor *actor = agent->actors, *next = NULL; actor != NULL; actor = next) {
    next = actor->next;
    actor_forget_session(actor, session);
  }
  workers_of_session_ended(session);
  strays_end(agent, session);
  processes_of_session_ended(session);
  network_of_session_ended(session);
  release_answers(session);
  buffer_clear(&session->control);
  buffer_clear(&session->out);
  session->sent = 0;
  session->held = 0;
  session->closing = false;
  session->parked = false;
  session->park_request = -1;
  session->synced = !session->serial;
  actor_advance(agent->main_task);
}

void session_close(struct session *session) {
  struct agent *agent = session->agent;
  if (session->closed) return;
  if (session->parked && session->resumable && session->watch.fd >= 0 && !agent->stopping) {
    /* It waits for its host to come back. */
    loop_close(&agent->loop, &session->watch);
    buffer_clear(&session->in);
    return;
  }
  session->closed = true;
  session_drop(session);
  loop_close(&agent->loop, &session->watch);
  for (struct session **at = &agent->sessions; *at != NULL; at = &(*at)->next) {
    if (*at == session) {
      *at = session->next;
      break;
    }
  }
  buffer_free(&session->in);
  buffer_free(&session->control);
  buffer_free(&session->out);
  loop_bury(&agent->loop, &session->grave, session);
  if (session->gone != NULL) session->gone(agent);
}

bool session_adopt(struct session *session, struct session *fresh) {
  struct loop *loop = &session->agent->loop;
  int fd = fcntl(fresh->watch.fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return false;
  session->watched = EPOLLIN;
  session->blocked = false;
  if (!loop_watch(loop, &session->watch, fd, EPOLLIN)) {
    int error = errno;
    close(fd);
    session->watch.fd = -1;
    errno = error;
    return false;
  }
  session_close(fresh);
  return true;
}

void session_push(struct session *session, int64_t kind, int64_t actor, int64_t request_id, const struct shape *shape,
                  const void *values) {
  size_t start = frame_begin(&session->control, kind, actor, request_id);
  message_encode(shape, values, &session->control);
  frame_end(&session->control, start, 0);
  session->held = 0;
}

void session_broadcast(struct agent *agent, int64_t kind, const struct shape *shape, const void *values) {
  for (struct session *session = agent->sessions; session != NULL; session = session->next) {
    if (session->synced) session_push(session, kind, ACTOR_IO, 0, shape, values);
  }
}

void session_refuse(struct session *session, int64_t actor, int64_t request_id, int error, const char *operation,
                    const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  struct error_fields fields = {
      .errno_ = error,
      .operation = {(const uint8_t *)operation, strlen(operation)},
      .message = {(const uint8_t *)text, strlen(text)},
  };
  session_push(session, MESSAGE_ERROR, actor, request_id, &error_fields_shape, &fields);
}

static struct bytes text_bytes(const char *text) {
  return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

void session_send_ready(struct session *session, int64_t request_id) {
  static const char *const features[] = {"processes", "files", "syscall", "clock", "mount_vfs", "streams", "workers", "pending_calls", "network", "rehearsal"};
  const uint8_t preamble[] = SYNC_PREAMBLE;
  const struct agent *agent = session->agent;
  uint8_t memory[128];
  struct buffer list;
  struct utsname system = {0};
  uname(&system);
  buffer_over(&list, memory, sizeof memory);
  uint32_t count = sizeof features / sizeof features[0];
  for (uint32_t i = 0; i < count; i++) msgpack_write_bytes(&list, features[i], strlen(features[i]));

  struct ready_fields fields = {
      .protocol = PROTOCOL_VERSION,
      .agent_version = text_bytes(AGENT_VERSION),
      .kernel_release = text_bytes(system.release),
      .arch = text_bytes(system.machine),
      .features = {.data = buffer_begin(&list), .size = buffer_length(&list), .count = count, .present = true},
      .boottime_ns = agent->boottime_ns,
      .nonce = session->nonce,
      .agent_pid = getpid(),
      .task_pid = agent->main_task->pid,
  };
  if (session->serial && request_id == 0) buffer_append(&session->control, preamble, sizeof preamble);
  session_push(session, MESSAGE_READY, ACTOR_IO, request_id, &ready_fields_shape, &fields);
  session->agent->greeted = true;
}

/** What goes out in front of the payload that is sent from the arena. */
static void write_answer_head(struct session *session, const struct call *call) {
  struct buffer head;
  buffer_over(&head, session->sending_head, sizeof session->sending_head);
  frame_end(&head, frame_begin(&head, call->answer_kind, call->actor->id, call->request_id), call->reply_size);
  session->sending_head_size = buffer_length(&head);
  session->sent = 0;
}

void session_answer(struct call *call) {
  struct session *session = call->session;
  if (session == NULL) {
    call_free(call);
    return;
  }
  session->held = 0;
  if (call->reply_size <= COPY_MAX && session->answers == NULL && session->sending == NULL) {
    size_t start = frame_begin(&session->control, call->answer_kind, call->actor->id, call->request_id);
    buffer_append(&session->control, arena_slot(&call->actor->arena, (unsigned)call->reply_slot), call->reply_size);
    frame_end(&session->control, start, 0);
    call_free(call);
    return;
  }
  struct call **at = &session->answers;
  while (*at != NULL) at = &(*at)->next;
  call->next = NULL;
  *at = call;
}

/** Chooses what goes out next. False when there is nothing. */
static bool collect(struct session *session) {
  if (session->park_request >= 0) return park_answer(session);
  if (session->parked) return false;
  if (buffer_length(&session->control) > 0) {
    struct buffer empty = session->out;
    session->out = session->control;
    session->control = empty;
  }
  if (session->answers != NULL) {
    session->sending = session->answers;
    session->answers = session->sending->next;
    write_answer_head(session, session->sending);
  }
  if (buffer_length(&session->out) < COPY_MAX && session->synced) process_collect_output(session, &session->out);
  return buffer_length(&session->out) > 0 || session->sending != NULL;
}

/** Writes once. False when the channel takes no more now, or has ended. */
static bool write_some(struct session *session, const struct iovec *parts, int number, size_t *written) {
  ssize_t count = writev(session->watch.fd, parts, number);
  if (count >= 0) {
    *written = (size_t)count;
    session->flushed += *written;
    /* The channel says at once that it takes more: the rest goes out in the next turn. */
    if (session->flushed >= FLUSH_BYTES) session->blocked = true;
    return count > 0;
  }
  *written = 0;
  if (errno == EINTR) return true;
  if (errno == EAGAIN) session->blocked = true;
  else session_close(session);
  return false;
}

static bool send_out(struct session *session) {
  size_t written = 0;
  struct buffer *out = &session->out;
  const struct iovec part = {.iov_base = buffer_begin(out), .iov_len = buffer_length(out)};
  bool more = write_some(session, &part, 1, &written);
  if (session->closed) return false;
  buffer_consume(out, written);
  if (buffer_length(out) == 0 && out->capacity > PAUSE_BYTES) buffer_free(out);
  return more;
}

static bool send_answer(struct session *session) {
  struct call *call = session->sending;
  size_t head = session->sending_head_size;
  size_t end = head + call->reply_size;
  size_t of_head = session->sent < head ? session->sent : head;
  size_t of_payload = session->sent - of_head;
  size_t written = 0;
  uint8_t *slot = arena_slot(&call->actor->arena, (unsigned)call->reply_slot);
  const struct iovec parts[] = {
      {.iov_base = session->sending_head + of_head, .iov_len = head - of_head},
      {.iov_base = slot + of_payload, .iov_len = call->reply_size - of_payload},
  };
  bool more = write_some(session, parts, 2, &written);
  if (session->closed) return false;
  session->sent += written;
  if (session->sent < end) return more;
  struct actor *actor = call->actor;
  session->sending = NULL;
  call_free(call);
  if (!actor->condemned) actor_advance(actor);
  return more;
}

size_t session_queued(const struct session *session) {
  return buffer_length(&session->control) + buffer_length(&session->out);
}

bool session_idle(const struct session *session) {
  return session_queued(session) == 0 && session->sending == NULL && session->answers == NULL;
}

static void watch_what_matters(struct session *session) {
  bool paused = session_queued(session) > PAUSE_BYTES || session->closing;
  uint32_t wanted = (paused ? 0 : EPOLLIN) | (session->blocked ? EPOLLOUT : 0) | (session->watched & EPOLLET);
  if (wanted == session->watched) return;
  session->watched = wanted;
  loop_rearm(&session->agent->loop, &session->watch, wanted);
}

/** With READY on its way the agent competes like any other process. musl's sched_setscheduler does nothing. */
static void settle(struct agent *agent) {
  struct sched_param none = {0};
  agent->settled = true;
  if (agent->in_guest) syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
}

void session_flush(struct session *session) {
  if (session->control.failed || session->out.failed) {
    session_close(session);
    return;
  }
  session->flushed = 0;
  while (!session->blocked && !session->closed) {
    bool more = false;
    if (buffer_length(&session->out) > 0) more = send_out(session);
    else if (session->sending != NULL) more = send_answer(session);
    else more = collect(session);
    if (!more) break;
  }
  if (session->closed) return;
  struct agent *agent = session->agent;
  if (session->closing && session_idle(session)) session_close(session);
  else watch_what_matters(session);
  if (agent->greeted && !agent->settled) settle(agent);
}

void session_hold(struct session *session) { session->held = HOLD_TURNS; }

bool sessions_flush(struct agent *agent, bool waited) {
  bool holding = false;
  struct session *next = NULL;
  for (struct session *session = agent->sessions; session != NULL; session = next) {
    next = session->next;
    if (session->held > 0) session->held = waited ? 0 : session->held - 1;
    if (session->held > 0) holding = true;
    else session_flush(session);
  }
  return holding;
}
