#include "arena.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SMALL_SLOTS (SMALL_REQUEST_SLOTS + SMALL_REPLY_SLOTS)
#define ARENA_SIZE (ARENA_PAGE + SMALL_SLOTS * SMALL_SLOT + (SLOTS - SMALL_SLOTS) * LARGE_SLOT)

static uint8_t *map(int fd) {
  int flags = MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
  void *base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
  return base == MAP_FAILED ? NULL : base;
}

bool arena_map(struct arena *arena, int *fd) {
  int memory = -1;
  if (fd != NULL) {
    memory = (int)syscall(SYS_memfd_create, "provium-arena", MFD_CLOEXEC);
    if (memory < 0) return false;
    if (ftruncate(memory, ARENA_SIZE) < 0) goto out;
  }
  *arena = (struct arena){.base = map(memory)};
  if (arena->base == NULL) goto out;
  /* The agent locks its memory; from a locked mapping arena_release could give nothing back. */
  munlock(arena->base, ARENA_SIZE);
  if (fd != NULL) *fd = memory;
  return true;
out:
  if (memory >= 0) close(memory);
  return false;
}

uint8_t *arena_attach(int fd) { return map(fd); }

void arena_detach(uint8_t *base) { munmap(base, ARENA_SIZE); }

void arena_unmap(struct arena *arena) { arena_detach(arena->base); }

size_t slot_offset(unsigned slot) {
  if (slot < SMALL_SLOTS) return ARENA_PAGE + slot * SMALL_SLOT;
  return ARENA_PAGE + SMALL_SLOTS * SMALL_SLOT + (slot - SMALL_SLOTS) * LARGE_SLOT;
}

size_t slot_capacity(unsigned slot) { return slot < SMALL_SLOTS ? SMALL_SLOT : LARGE_SLOT; }

static int claim(struct arena *arena, unsigned from, unsigned to) {
  for (unsigned slot = from; slot < to; slot++) {
    if (arena->busy[slot]) continue;
    arena->busy[slot] = true;
    return (int)slot;
  }
  return -1;
}

int arena_claim_request(struct arena *arena, size_t size) {
  int slot = size <= SMALL_SLOT ? claim(arena, 0, SMALL_REQUEST_SLOTS) : -1;
  if (slot >= 0 || size > LARGE_SLOT) return slot;
  return size > SMALL_SLOT ? claim(arena, LARGE_REQUEST_SLOT, LARGE_REQUEST_SLOT + 1) : -1;
}

int arena_claim_reply(struct arena *arena) {
  return claim(arena, FIRST_REPLY_SLOT, FIRST_REPLY_SLOT + SMALL_REPLY_SLOTS);
}

void arena_release(struct arena *arena, unsigned slot, size_t used) {
  if (slot >= SMALL_SLOTS && used > SMALL_SLOT) {
    madvise(arena_slot(arena, slot), slot_capacity(slot) & ~(size_t)(ARENA_PAGE - 1), MADV_REMOVE);
  }
  arena->busy[slot] = false;
}
