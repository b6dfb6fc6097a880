#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bigendian.h"
#include "messages.h"
#include "request.h"
#include "session.h"

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
  /* What it has to say must leave. */
  session->parked = false;
  session->park_request = -1;
  buffer_clear(&session->in);
  session->closing = true;
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
  const struct message *message = request_check(session, &head);
  if (message == NULL) return;
  if (message->served == SERVED_BY_IO) {
    service_request(session, message, &head,
                    (struct bytes){.data = body + head.payload_offset, .size = size - head.payload_offset});
    return;
  }
  struct call *call = request_create(session, message, &head, size);
  if (call == NULL) return;
  memcpy(call_body(call), body, size);
  request_submit(session, &head, call);
}

static void large_begin(struct session *session, const struct frame_head *head, size_t size) {
  struct large_frame *large = &session->large;
  *large = (struct large_frame){.active = true, .head = *head, .size = size, .missing = size};
  const struct message *message = request_check(session, head);
  if (message == NULL) return;
  if (message->served == SERVED_BY_TASK) {
    large->call = request_create(session, message, head, size);
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
  if (done.call != NULL) request_submit(session, &done.head, done.call);
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
  if (!session->parked) session_drop(session);
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
