#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bigendian.h"
#include "messages.h"
#include "process.h"
#include "session.h"
#include "worker.h"

/**
 * From bytes to requests. Small frames are put together in `in`; the body of a frame that does not fit there
 * is read straight to where it is wanted (`large`), for a task that is a slot of its arena.
 */

/** Bytes read from one session before the others get their turn. */
#define TURN_BYTES ((size_t)1024 * 1024)

static const uint8_t preamble[] = SYNC_PREAMBLE;

void session_forget_frame(struct session *session) {
  struct large_frame *large = &session->large;
  if (large->call != NULL) call_free(large->call);
  free(large->heap);
  *large = (struct large_frame){0};
}

/** The bytes make no sense: says so and ends the session. On a serial port the next SYNC begins a new one. */
static void violation(struct session *session, const char *what) {
  bool serial = session->serial;
  if (serial) session_drop(session);
  session_refuse(session, ACTOR_IO, 0, 0, "frame", "%s; the session ends", what);
  if (serial) return;
  buffer_clear(&session->in);
  session->closing = true;
}

static void refuse_undecoded(struct session *session, const struct frame_head *head, const struct message *message,
                             const char *field) {
  session_refuse(session, head->actor, head->request_id, 0, message->name, "field `%s` is missing or of a wrong type",
                 field);
}

/** The task that a request is for, if it can serve one. */
static struct actor *task_of(const struct session *session, const struct frame_head *head) {
  struct actor *actor = actor_find(session->agent, session, head->actor);
  return actor == NULL || actor->spawning || actor->gone || actor->ending ? NULL : actor;
}

static void refuse_actor(struct session *session, const struct frame_head *head, const struct message *message) {
  char text[96];
  const struct actor *actor = actor_find(session->agent, session, head->actor);
  if (actor == NULL) {
    session_refuse(session, head->actor, head->request_id, 0, message->name, "no task is actor %lld",
                   (long long)head->actor);
  } else if (actor->gone) {
    actor_describe_end(actor, actor->how, actor->code, text, sizeof text);
    session_refuse(session, head->actor, head->request_id, ESRCH, message->name, "%s", text);
  } else {
    session_refuse(session, head->actor, head->request_id, ESRCH, message->name, "worker %lld is being %s",
                   (long long)actor->id, actor->ending ? "ended" : "made");
  }
}

/** The message of a request that can be served, else NULL after refusing it. */
static const struct message *check_request(struct session *session, const struct frame_head *head) {
  const struct message *message = message_of_kind(message_table, message_table_size, head->kind);
  if (message == NULL || message->served == SERVED_BY_HOST) {
    session_refuse(session, head->actor, head->request_id, 0, "frame", "no request has kind %lld",
                   (long long)head->kind);
    return NULL;
  }
  if (message->served == SERVED_BY_TASK && task_of(session, head) == NULL) {
    refuse_actor(session, head, message);
    return NULL;
  }
  return message;
}

static struct call *create_call(struct session *session, const struct message *message, const struct frame_head *head,
                                size_t size) {
  struct call *call = call_create(task_of(session, head), size);
  if (call == NULL) {
    session_refuse(session, head->actor, head->request_id, EAGAIN, message->name,
                   "too many requests of this actor are waiting");
    return NULL;
  }
  call->session = session;
  call->message = message;
  call->request_id = head->request_id;
  call->payload_offset = head->payload_offset;
  return call;
}

/** Fields of every request that starts a process. */
union starting_fields {
  struct proc_start_fields command;
  struct tail_start_fields tail;
  struct fd_stream_start_fields stream;
  struct syscall_start_fields call;
};

static bool starts_process(const struct message *message) {
  return message->kind == MESSAGE_PROC_START || message->kind == MESSAGE_TAIL_START ||
         message->kind == MESSAGE_FD_STREAM_START || message->kind == MESSAGE_SYSCALL_START;
}

/** What the request says about its process; false with the name of the field that does not fit. */
static bool read_plan(const struct call *call, struct process_plan *plan, const char **field) {
  union starting_fields fields;
  struct bytes payload = {.data = call_body(call) + call->payload_offset, .size = call->size - call->payload_offset};
  if (!message_decode(&call->message->fields, payload, &fields, field)) return false;
  switch (call->message->kind) {
    case MESSAGE_PROC_START:
      *plan = (struct process_plan){.handle = fields.command.process, .window = fields.command.window,
                                    .timeout_ms = fields.command.timeout_ms, .stdin_open = fields.command.stdin_open,
                                    .stdin_data = fields.command.stdin};
      break;
    case MESSAGE_TAIL_START:
      *plan = (struct process_plan){.handle = fields.tail.process, .window = fields.tail.window};
      break;
    case MESSAGE_SYSCALL_START:
      *plan = (struct process_plan){.handle = fields.call.process, .window = fields.call.window, .ends_with_exit = true};
      break;
    default:
      *plan = (struct process_plan){.handle = fields.stream.process, .window = fields.stream.window};
      break;
  }
  return true;
}

/** Registers the process that the request starts. False after refusing it. */
static bool plan_process(struct session *session, const struct frame_head *head, struct call *call) {
  struct process_plan plan;
  const char *field = NULL;
  if (!read_plan(call, &plan, &field)) {
    refuse_undecoded(session, head, call->message, field);
    return false;
  }
  if (plan.window < 0 || plan.timeout_ms < 0 || process_find(session->agent, session, plan.handle) != NULL) {
    session_refuse(session, head->actor, head->request_id, 0, call->message->name,
                   "a negative `window` or `timeout_ms`, or a `process` that is in use");
    return false;
  }
  call->process = process_create(session, &plan);
  if (call->process != NULL) return true;
  session_refuse(session, head->actor, head->request_id, ENOMEM, call->message->name, "no memory");
  return false;
}

/** Registers the worker that the request makes. False after refusing it. */
static bool plan_worker(struct session *session, const struct frame_head *head, struct call *call) {
  struct spawn_worker_fields request;
  const char *field = NULL;
  struct bytes payload = {.data = call_body(call) + call->payload_offset, .size = call->size - call->payload_offset};
  if (!message_decode(&spawn_worker_fields_shape, payload, &request, &field)) {
    refuse_undecoded(session, head, call->message, field);
    return false;
  }
  if (request.worker <= ACTOR_MAIN || actor_find(session->agent, session, request.worker) != NULL) {
    session_refuse(session, head->actor, head->request_id, 0, call->message->name,
                   "worker %lld is in use or no number of a worker", (long long)request.worker);
    return false;
  }
  call->worker = worker_create(session, request.worker, request.thread);
  if (call->worker != NULL) return true;
  int error = errno;
  session_refuse(session, head->actor, head->request_id, error, call->message->name, "%s", strerror(error));
  return false;
}

static void submit(struct session *session, const struct frame_head *head, struct call *call) {
  bool planned = true;
  if (task_of(session, head) != call->actor) {
    refuse_actor(session, head, call->message);
    planned = false;
  } else if (starts_process(call->message)) {
    planned = plan_process(session, head, call);
  } else if (call->message->kind == MESSAGE_SPAWN_WORKER) {
    planned = plan_worker(session, head, call);
  }
  if (planned) actor_submit(call->actor, call);
  else call_free(call);
}

static void resync(struct session *session, const struct sync_fields *sync) {
  bool repeated = session->synced && session->nonce == sync->nonce;
  if (!repeated) session_drop(session);
  session->synced = true;
  session->nonce = sync->nonce;
  session_send_ready(session, 0);
}

/** A complete frame: `body` is valid during the call only. */
static void deliver(struct session *session, const uint8_t *body, size_t size) {
  struct frame_head head;
  if (!frame_read_head(body, size, &head)) {
    violation(session, "a frame does not start with [kind, actor, request id, payload]");
    return;
  }
  const struct message *message = check_request(session, &head);
  if (message == NULL) return;
  if (message->served == SERVED_BY_IO) {
    service_request(session, message, &head,
                    (struct bytes){.data = body + head.payload_offset, .size = size - head.payload_offset});
    return;
  }
  struct call *call = create_call(session, message, &head, size);
  if (call == NULL) return;
  memcpy(call_body(call), body, size);
  submit(session, &head, call);
}

static void large_begin(struct session *session, const struct frame_head *head, size_t size) {
  struct large_frame *large = &session->large;
  *large = (struct large_frame){.active = true, .head = *head, .size = size, .missing = size};
  const struct message *message = check_request(session, head);
  if (message == NULL) return;
  if (message->served == SERVED_BY_TASK) {
    large->call = create_call(session, message, head, size);
    if (large->call != NULL) large->at = call_body(large->call);
    return;
  }
  large->heap = malloc(size);
  large->at = large->heap;
  if (large->heap == NULL) session_refuse(session, head->actor, head->request_id, ENOMEM, message->name, "no memory");
}

static void large_advance(struct session *session, size_t size) {
  struct large_frame *large = &session->large;
  large->missing -= size;
  if (large->at != NULL) large->at += size;
  if (large->missing > 0) return;

  struct large_frame done = *large;
  *large = (struct large_frame){0};
  if (done.call != NULL) submit(session, &done.head, done.call);
  else if (done.heap != NULL) deliver(session, done.heap, done.size);
  free(done.heap);
}

/** Drops everything before a preamble. True when one is at the front. */
static bool seek_preamble(struct session *session) {
  struct buffer *in = &session->in;
  while (buffer_length(in) >= sizeof preamble) {
    if (memcmp(buffer_begin(in), preamble, sizeof preamble) == 0) return true;
    const uint8_t *next = memchr(buffer_begin(in) + 1, preamble[0], buffer_length(in) - 1);
    buffer_consume(in, next == NULL ? buffer_length(in) : (size_t)(next - buffer_begin(in)));
  }
  return false;
}

/** Decodes a SYNC frame behind a preamble. Returns its size with the preamble, 0 when it is none or incomplete. */
static size_t read_sync(const uint8_t *data, size_t size, struct sync_fields *sync) {
  struct frame_head head;
  const char *field = NULL;
  size_t start = sizeof preamble + FRAME_PREFIX;
  if (size < start || memcmp(data, preamble, sizeof preamble) != 0) return 0;
  size_t length = load_be(data + sizeof preamble, FRAME_PREFIX);
  if (length > size - start || !frame_read_head(data + start, length, &head) || head.kind != MESSAGE_SYNC) return 0;
  struct bytes payload = {.data = data + start + head.payload_offset, .size = length - head.payload_offset};
  if (!message_decode(&sync_fields_shape, payload, sync, &field)) return 0;
  return start + length;
}

/** At a preamble: a SYNC, something else (then the search goes on behind it), or false when bytes are missing. */
static bool parse_preamble(struct session *session) {
  struct buffer *in = &session->in;
  struct sync_fields sync;
  size_t head = sizeof preamble + FRAME_PREFIX;
  if (buffer_length(in) < head) return false;
  size_t length = load_be(buffer_begin(in) + sizeof preamble, FRAME_PREFIX);
  size_t used = read_sync(buffer_begin(in), buffer_length(in), &sync);
  if (used == 0 && length <= FRAME_HEAD_MAX + 64 && buffer_length(in) < head + length) return false;
  if (used == 0) {
    buffer_consume(in, sizeof preamble);
    session->synced = false;
    return true;
  }
  buffer_consume(in, used);
  resync(session, &sync);
  return true;
}

/** Serves one frame of `in`. False when more bytes are needed first. */
static bool parse_frame(struct session *session) {
  struct buffer *in = &session->in;
  if (session->serial && !session->synced) return seek_preamble(session) && parse_preamble(session);
  size_t available = buffer_length(in);
  if (available < FRAME_PREFIX) return false;
  if (session->serial && *buffer_begin(in) == preamble[0]) {
    if (available < sizeof preamble) return false;
    if (memcmp(buffer_begin(in), preamble, sizeof preamble) == 0) return parse_preamble(session);
  }
  size_t size = load_be(buffer_begin(in), FRAME_PREFIX);
  if (size == 0 || size > MAX_FRAME_BYTES) {
    violation(session, "the length of a frame is 0 or above the limit");
    return true;
  }
  available -= FRAME_PREFIX;
  const uint8_t *body = buffer_begin(in) + FRAME_PREFIX;
  if (available >= size) {
    in->head += FRAME_PREFIX + size;
    deliver(session, body, size);
    if (!session->closed && in->head == in->size) buffer_clear(in);
    return true;
  }
  if (FRAME_PREFIX + size <= in->capacity) return false;
  if (available < FRAME_HEAD_MAX) return false;
  struct frame_head head;
  if (!frame_read_head(body, available, &head)) {
    violation(session, "a frame does not start with [kind, actor, request id, payload]");
    return true;
  }
  large_begin(session, &head, size);
  if (session->large.at != NULL) memcpy(session->large.at, body, available);
  buffer_clear(in);
  large_advance(session, available);
  return true;
}

static void parse(struct session *session) {
  while (!session->closed && !session->closing && !session->large.active && parse_frame(session)) continue;
  if (!session->closed && !session->large.active) buffer_compact(&session->in);
}

/** In the middle of a frame a read that starts with preamble and SYNC is a new session, not the frame's rest. */
static bool interrupts_frame(struct session *session, const uint8_t *data, size_t size) {
  struct sync_fields sync;
  if (!session->serial || !session->synced) return false;
  if (!session->large.active && data == buffer_begin(&session->in)) return false;
  size_t used = read_sync(data, size, &sync);
  if (used == 0) return false;
  buffer_clear(&session->in);
  memmove(session->in.data, data, size);
  session->in.size = size;
  session_drop(session);
  return true;
}

/**
 * A port whose host end is closed reads as end of file. Edge-triggered until somebody is there again; to say so
 * once more would be an edge itself, and the agent would go round and round.
 */
static void host_left(struct session *session) {
  if (!session->agent->in_guest) {
    session_close(session);
    return;
  }
  if ((session->watched & EPOLLET) != 0) return;
  session_drop(session);
  buffer_clear(&session->in);
  session->watched = EPOLLIN | EPOLLET;
  loop_rearm(&session->agent->loop, &session->watch, session->watched);
}

static void host_is_back(struct session *session) {
  if ((session->watched & EPOLLET) == 0) return;
  session->watched &= ~(uint32_t)EPOLLET;
  loop_rearm(&session->agent->loop, &session->watch, session->watched);
}

/** Reads once. False when there is no more to read now. */
static bool read_some(struct session *session, size_t *budget) {
  uint8_t dropped[4096];
  struct large_frame *large = &session->large;
  struct buffer *in = &session->in;
  uint8_t *target = buffer_end(in);
  size_t wanted = in->capacity - in->size;
  if (large->active) {
    target = large->at != NULL ? large->at : dropped;
    wanted = large->missing;
    if (large->at == NULL && wanted > sizeof dropped) wanted = sizeof dropped;
    if (session->serial && wanted > in->capacity) wanted = in->capacity;
  }
  ssize_t count = read(session->watch.fd, target, wanted);
  if (count < 0) {
    if (errno == EINTR) return true;
    if (errno != EAGAIN) session_close(session);
    return false;
  }
  if (count == 0) {
    if (session->serial) host_left(session);
    else session_close(session);
    return false;
  }
  size_t size = (size_t)count;
  host_is_back(session);
  *budget -= size < *budget ? size : *budget;
  bool unfinished = large->active;
  if (interrupts_frame(session, target, size)) {
    parse(session);
    return false;
  }
  if (large->active) large_advance(session, size);
  else in->size += size;
  parse(session);
  return unfinished || session->large.active || size == wanted;
}

void session_receive(struct session *session, uint32_t events) {
  size_t budget = TURN_BYTES;
  (void)events;
  while (!session->closed && !session->closing && budget > 0 && read_some(session, &budget)) continue;
}
