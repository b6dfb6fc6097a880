#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "actor.h"
#include "process.h"
#include "session.h"
#include "worker.h"

#define MAX_QUEUED_CALLS 256
#define MAX_QUEUED_BYTES ((size_t)32 * 1024 * 1024)

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

void call_enter_arena(struct call *call) {
  if (call->slot >= 0) return;
  call->slot = SPARE_REQUEST_SLOT;
  memcpy(arena_slot(&call->actor->arena, SPARE_REQUEST_SLOT), call->heap, call->size);
  free(call->heap);
  call->heap = NULL;
}

struct call *call_move(struct call *call, struct actor *actor) {
  struct call *moved = call_create(actor, call->size);
  if (moved == NULL) return NULL;
  memcpy(call_body(moved), call_body(call), call->size);
  moved->session = call->session;
  moved->message = call->message;
  moved->request_id = call->request_id;
  moved->process = call->process;
  moved->worker = call->worker;
  moved->payload_offset = call->payload_offset;
  call_free(call);
  return moved;
}

void call_release_request(struct call *call) {
  struct actor *actor = call->actor;
  if (call->slot < 0 && call->heap == NULL) return;
  if (call->slot >= 0) arena_release(&actor->arena, (unsigned)call->slot, call->size);
  free(call->heap);
  call->slot = -1;
  call->heap = NULL;
  actor->queued_calls--;
  actor->queued_bytes -= call->size;
}

void call_free(struct call *call) {
  struct actor *actor = call->actor;
  call_release_request(call);
  if (call->reply_slot >= 0) arena_release(&actor->arena, (unsigned)call->reply_slot, call->reply_size);
  free(call);
  actor->calls--;
  actor_bury_if_over(actor);
}

void call_fail(struct call *call, int error, const char *message) {
  if (call->session != NULL) {
    session_refuse(call->session, call->actor->id, call->request_id, error, call->message->name, "%s", message);
  }
  if (call->process != NULL) process_discard(call->process);
  if (call->worker != NULL) worker_discard(call->worker);
  call_free(call);
}
