#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "messages.h"
#include "request.h"
#include "session.h"

/**
 * libFuzzer target: agent/guest/receive.c, which makes requests of a byte stream, with everything behind it
 * replaced. The same bytes must give the same requests however read(2) cuts them. On a serial port, where the
 * cuts mean something, only memory and progress are watched.
 *
 * Input: a byte of options, a byte with the number of cuts, the lengths of the pieces, then the stream.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __wrap_read(int fd, void *into, size_t count);

/** Small, so that inputs of a few hundred bytes hold frames that do not fit. A SYNC with its preamble does. */
#define INPUT_SIZE 128

enum option { OPTION_SERIAL = 1, OPTION_ON_HOST = 2, OPTION_LEAVES = 4 };

static void promise(bool kept) {
  if (!kept) abort();
}

/** What read(2) gives. */
struct input {
  const uint8_t *at;
  size_t left;
  /** Lengths of the next pieces, 0 for end of file; without any everything comes at once. */
  const uint8_t *pieces;
  size_t piece_count;
  bool ends;
};
static struct input input;

ssize_t __wrap_read(int fd, void *into, size_t count) {
  (void)fd;
  /* A full buffer that nothing can be done with would be read for ever. */
  promise(count > 0);
  size_t piece = input.left;
  if (input.piece_count > 0) {
    piece = *input.pieces++;
    input.piece_count--;
    if (piece == 0 && input.ends) return 0;
    if (piece == 0) piece = 1;
  }
  if (input.left == 0) {
    errno = EAGAIN;
    return -1;
  }
  if (piece > input.left) piece = input.left;
  if (piece > count) piece = count;
  memcpy(into, input.at, piece);
  input.at += piece;
  input.left -= piece;
  return (ssize_t)piece;
}

/** Everything that came out, as a hash (FNV-1a). */
static uint64_t outcome;

static void note(const void *data, size_t size) {
  const uint8_t *at = data;
  for (size_t i = 0; i < size; i++) outcome = (outcome ^ at[i]) * UINT64_C(0x100000001b3);
}

static void note_event(char what, const struct frame_head *head) {
  note(&what, 1);
  if (head != NULL) note(head, sizeof *head);
}

/* --- what receive.c calls ----------------------------------------------------------------------------------- */

const struct message *request_check(struct session *session, const struct frame_head *head) {
  const struct message *message = message_of_kind(message_table, message_table_size, head->kind);
  if (message != NULL && message->served != SERVED_BY_HOST) return message;
  session_refuse(session, head->actor, head->request_id, 0, "frame", "no such kind");
  return NULL;
}

struct call *request_create(struct session *session, const struct message *message, const struct frame_head *head,
                            size_t size) {
  /* Some are refused, as when an actor has too many. */
  if (head->request_id % 5 == 4) return NULL;
  struct call *call = calloc(1, sizeof *call);
  promise(call != NULL);
  call->session = session;
  call->message = message;
  call->size = size;
  call->heap = malloc(size);
  promise(call->heap != NULL);
  return call;
}

uint8_t *call_body(const struct call *call) { return call->heap; }

void call_free(struct call *call) {
  free(call->heap);
  free(call);
}

void request_submit(struct session *session, const struct frame_head *head, struct call *call) {
  (void)session;
  note_event('t', head);
  note(call->heap, call->size);
  call_free(call);
}

void service_request(struct session *session, const struct message *message, const struct frame_head *head,
                     struct bytes payload) {
  (void)message;
  note_event('i', head);
  note(payload.data, payload.size);
  /* As the agent may end a session while it serves it. */
  if (head->kind == MESSAGE_SHUTDOWN) session_close(session);
}

void session_refuse(struct session *session, int64_t actor, int64_t request_id, int error, const char *operation,
                    const char *format, ...) {
  (void)session;
  (void)error;
  (void)format;
  note_event('r', NULL);
  note(&actor, sizeof actor);
  note(&request_id, sizeof request_id);
  note(operation, strlen(operation));
}

void session_send_ready(struct session *session, int64_t request_id) {
  (void)request_id;
  note_event('R', NULL);
  note(&session->nonce, sizeof session->nonce);
}

void session_drop(struct session *session) {
  session_forget_frame(session);
  session->closing = false;
  session->synced = !session->serial;
}

void session_close(struct session *session) {
  if (session->closed) return;
  session->closed = true;
  session_drop(session);
  buffer_free(&session->in);
}

bool loop_rearm(struct loop *loop, struct watch *watch, uint32_t events) {
  (void)loop;
  (void)watch;
  (void)events;
  return true;
}

/* --- the target --------------------------------------------------------------------------------------------- */

static uint64_t receive_all(unsigned options, struct input from) {
  struct agent agent = {.in_guest = (options & OPTION_ON_HOST) == 0};
  struct session session = {.agent = &agent, .serial = (options & OPTION_SERIAL) != 0};
  session.synced = !session.serial;
  outcome = UINT64_C(0xcbf29ce484222325);
  input = from;
  buffer_init(&session.in, INPUT_SIZE);
  promise(buffer_reserve(&session.in, INPUT_SIZE));
  while (!session.closed && !session.closing && input.left > 0) session_receive(&session, 0);
  session_close(&session);
  return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size < 2 + (size_t)data[1]) return 0;
  unsigned options = data[0];
  struct input cut = {.at = data + 2 + data[1], .left = size - 2 - data[1], .pieces = data + 2, .piece_count = data[1],
                      .ends = (options & OPTION_LEAVES) != 0};
  struct input whole = {.at = cut.at, .left = cut.left};
  uint64_t pieces = receive_all(options, cut);
  if ((options & (OPTION_SERIAL | OPTION_LEAVES)) == 0) promise(receive_all(options, whole) == pieces);
  return 0;
}
