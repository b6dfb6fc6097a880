#ifndef PROVIUM_ARENA_H
#define PROVIUM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"

/**
 * Memory that the I/O process shares with a task, so that the bytes of a file pass through no pipe between
 * them: requests are read from the channel straight into a slot, and replies are written to the channel
 * straight from one. A page at the start carries the call and its answer; a pipe announces the one, an eventfd
 * the other.
 *
 * The task may scribble over all of it. The I/O process keeps what it decides by in its own memory, copies an
 * answer once and checks it, and sends the heads of frames from its own memory too: of what it has answered a task can
 * change nothing but the payload.
 */

#define ARENA_PAGE 4096
#define SMALL_SLOT ((size_t)1024 * 1024 + ARENA_PAGE)
/** The largest payload of a frame, in whole pages. */
#define LARGE_SLOT ((MAX_FRAME_BYTES + 2 * ARENA_PAGE - 1) & ~((size_t)ARENA_PAGE - 1))

enum {
  SMALL_REQUEST_SLOTS = 4,
  SMALL_REPLY_SLOTS = 3,
  /** Order in memory: small requests, small replies, a large request, a large reply, the spare. */
  FIRST_REPLY_SLOT = SMALL_REQUEST_SLOTS,
  LARGE_REQUEST_SLOT = SMALL_REQUEST_SLOTS + SMALL_REPLY_SLOTS,
  LARGE_REPLY_SLOT,
  /** For the request that runs next, when it had to be kept outside of the arena until then. */
  SPARE_REQUEST_SLOT,
  SLOTS,
};

enum { CALL_CHECK_ROOT = 1 };
/** Instead of a message: a thread leaves its loop, a process exits. */
#define CALL_LEAVE 0

/** Written by the I/O process before it rings. */
struct call_sheet {
  uint64_t number;
  int64_t kind;
  uint32_t flags;
  uint32_t small_reply_slot;
  /** The task's pid as the I/O process knows it; what the task calls itself differs in a pid namespace. */
  int32_t pid;
  /** From the start of the arena. */
  uint64_t payload_offset;
  uint64_t payload_size;
};

/** Written by the task before it rings. */
struct answer_sheet {
  /** Of the call that it answers. */
  uint64_t number;
  int64_t kind;
  uint64_t payload_size;
  uint32_t slot;
  /** Of what was started: its pid, a worker's tid, and which descriptors were sent, as bits of enum passed_fd. */
  int32_t pid;
  int32_t tid;
  uint32_t passed_fds;
};

enum passed_fd { PASSED_STDOUT = 1, PASSED_STDERR = 2, PASSED_STDIN = 4, PASSED_PIDFD = 8, PASSED_MAX = 4 };

/** What the I/O process hands to the task that makes a worker, in this order. */
enum offered_fd { OFFER_ARENA, OFFER_BELL, OFFER_ANSWER, OFFER_PASSAGE, OFFER_MAX };

/** Written by a command between clone and exec when it cannot be started. */
struct exec_failure {
  int32_t error;
  uint32_t step;
};

struct arena_page {
  struct call_sheet call;
  struct answer_sheet answer;
  /** Pid of what the request has cloned, written by the kernel before it runs; 0 until then, and in a pid namespace. */
  int32_t born;
  /** Number of the request that may make another program of the task, written before its bell rings for that. */
  uint64_t executes;
  struct exec_failure exec_failure;
};

_Static_assert(sizeof(struct arena_page) <= ARENA_PAGE, "the sheets fit into the first page");

struct arena {
  uint8_t *base;
  bool busy[SLOTS];
};

/** With `fd` the memory can be handed to a process that exists already: *fd is its descriptor then. */
bool arena_map(struct arena *arena, int *fd);
/** The same memory in another process; NULL with errno set. */
uint8_t *arena_attach(int fd);
void arena_detach(uint8_t *base);
void arena_unmap(struct arena *arena);
size_t slot_offset(unsigned slot);
size_t slot_capacity(unsigned slot);
/** A free request slot for `size` bytes, or -1. */
int arena_claim_request(struct arena *arena, size_t size);
/** A free small reply slot, or -1. */
int arena_claim_reply(struct arena *arena);
/** `used` bytes of it were written: memory of a large slot goes back to the kernel. */
void arena_release(struct arena *arena, unsigned slot, size_t used);

static inline struct arena_page *arena_page(const struct arena *arena) { return (struct arena_page *)(void *)arena->base; }
static inline uint8_t *arena_slot(const struct arena *arena, unsigned slot) { return arena->base + slot_offset(slot); }

#endif
