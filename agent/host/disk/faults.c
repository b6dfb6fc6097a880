#include "faults.h"

#include <errno.h>
#include <stdlib.h>

#include "image.h"

uint64_t splitmix_next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

bool faults_add(struct faults *faults, const struct fault *rule) {
  struct fault *copy = malloc(sizeof *copy);
  if (copy == NULL) return false;
  *copy = *rule;
  copy->next = NULL;
  struct fault **at = &faults->rules;
  while (*at != NULL) at = &(*at)->next;
  *at = copy;
  return true;
}

void faults_remove(struct faults *faults, int64_t number) {
  for (struct fault **at = &faults->rules; *at != NULL;) {
    struct fault *fault = *at;
    if (number >= 0 && fault->number != number) {
      at = &fault->next;
      continue;
    }
    *at = fault->next;
    free(fault);
  }
}

/**
 * Whether the rule strikes this request. One that touches no byte (a flush) meets rules for the whole disk only. Every
 * meeting draws from the rule's own generator, so that its strikes do not depend on other rules.
 */
static bool strikes(struct fault *fault, uint64_t offset, uint64_t size) {
  if (fault->left == 0) return false;
  bool everywhere = fault->first == 0 && fault->end == UINT64_MAX;
  if (size == 0 ? !everywhere : offset >= fault->end || offset + size <= fault->first) return false;
  if (fault->probability < FAULT_ALWAYS && (int64_t)(splitmix_next(&fault->random) >> 32) >= fault->probability)
    return false;
  fault->hits++;
  if (fault->left > 0) fault->left--;
  return true;
}

int64_t faults_delay(struct faults *faults, enum fault_kind kind, uint64_t offset, uint64_t size) {
  int64_t delay = 0;
  if (kind == FAULT_ON_TRIM) return 0;
  for (struct fault *fault = faults->rules; fault != NULL; fault = fault->next) {
    if (fault->mode == FAULT_SLOW && strikes(fault, offset, size)) delay += fault->delay_ns;
  }
  return delay;
}

struct verdict faults_judge(struct faults *faults, enum fault_kind kind, uint64_t offset, uint64_t size) {
  struct verdict verdict = {.keep = size};
  for (struct fault *fault = faults->rules; fault != NULL && verdict.error == 0; fault = fault->next) {
    bool asked = fault->mode == FAULT_EIO_READ ? kind == FAULT_ON_READ
                                               : kind == FAULT_ON_WRITE && fault->mode != FAULT_SLOW &&
                                                     fault->mode != FAULT_CORRUPT_READ;
    /* A write that is no longer than what arrives cannot be torn. */
    if (fault->mode == FAULT_TORN_WRITE && fault->keep * SECTOR_SIZE >= size) asked = false;
    if (!asked || !strikes(fault, offset, size)) continue;
    if (fault->mode == FAULT_EIO_READ || fault->mode == FAULT_EIO_WRITE) verdict.error = EIO;
    else if (fault->mode == FAULT_ENOSPC) verdict.error = ENOSPC;
    else if (fault->mode == FAULT_TORN_WRITE && fault->keep * SECTOR_SIZE < verdict.keep)
      verdict.keep = fault->keep * SECTOR_SIZE;
    else if (fault->mode == FAULT_LOST_WRITE) {
      verdict.lost = true;
      verdict.on_flush = fault->on_flush;
    }
  }
  return verdict;
}

void faults_corrupt(struct faults *faults, uint64_t offset, uint8_t *data, uint64_t size) {
  for (struct fault *fault = faults->rules; fault != NULL && size > 0; fault = fault->next) {
    if (fault->mode != FAULT_CORRUPT_READ || !strikes(fault, offset, size)) continue;
    uint64_t first = fault->first > offset ? fault->first - offset : 0;
    uint64_t end = fault->end < offset + size ? fault->end - offset : size;
    for (int64_t i = 0; i < fault->bits; i++) {
      uint64_t bit = splitmix_next(&fault->random) % ((end - first) * 8);
      data[first + bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
  }
}
