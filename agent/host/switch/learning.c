#include "learning.h"

#include <stddef.h>

void learning_init(struct learning *learning, uint64_t key) { *learning = (struct learning){.key = key | 1}; }

static unsigned set_of(const struct learning *learning, uint64_t address) {
  return (unsigned)((address * learning->key) >> 48) % LEARNING_SETS;
}

static bool fresh(const struct learned *entry, int64_t now) {
  return entry->address != 0 && now - entry->seen < LEARNING_AGE_NS;
}

/** The oldest entry of the port that has most of them. */
static struct learned *victim_of(struct learned *set) {
  struct learned *victim = &set[0];
  unsigned most = 0;
  for (unsigned i = 0; i < LEARNING_WAYS; i++) {
    unsigned count = 0;
    for (unsigned k = 0; k < LEARNING_WAYS; k++) count += set[k].slot == set[i].slot;
    if (count > most || (count == most && set[i].seen < victim->seen)) {
      most = count;
      victim = &set[i];
    }
  }
  return victim;
}

void learning_note(struct learning *learning, uint64_t address, uint16_t slot, int64_t now) {
  struct learned *set = learning->entries[set_of(learning, address)];
  struct learned *place = NULL;
  for (unsigned i = 0; i < LEARNING_WAYS; i++) {
    if (set[i].address == address) {
      place = &set[i];
      break;
    }
    if (place == NULL && !fresh(&set[i], now)) place = &set[i];
  }
  if (place == NULL) place = victim_of(set);
  *place = (struct learned){.address = address, .seen = now, .slot = slot};
}

int learning_find(const struct learning *learning, uint64_t address, int64_t now) {
  const struct learned *set = learning->entries[set_of(learning, address)];
  for (unsigned i = 0; i < LEARNING_WAYS; i++) {
    if (set[i].address == address) return fresh(&set[i], now) ? set[i].slot : -1;
  }
  return -1;
}

void learning_forget(struct learning *learning, uint16_t slot) {
  for (unsigned i = 0; i < LEARNING_SETS; i++) {
    for (unsigned k = 0; k < LEARNING_WAYS; k++) {
      if (learning->entries[i][k].slot == slot) learning->entries[i][k] = (struct learned){0};
    }
  }
}

unsigned learning_count(const struct learning *learning) {
  unsigned count = 0;
  for (unsigned i = 0; i < LEARNING_SETS; i++) {
    for (unsigned k = 0; k < LEARNING_WAYS; k++) count += learning->entries[i][k].address != 0;
  }
  return count;
}
