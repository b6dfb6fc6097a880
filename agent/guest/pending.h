#ifndef PROVIUM_PENDING_H
#define PROVIUM_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "messages.h"
#include "task.h"

/**
 * System calls: what is common to those that the task makes itself and those that it has made by another process,
 * because they may block for ever.
 */

#define SYSCALL_ARGUMENTS 6

struct buffers {
  uint32_t count;
  struct span {
    uint8_t *data;
    size_t size;
  } *items;
};

struct prepared {
  int64_t number;
  uint64_t arguments[SYSCALL_ARGUMENTS];
  struct buffers buffers;
};

/** Copies the buffers into scratch memory and puts addresses where they belong. False after answering an error. */
bool prepare_syscall(struct task *task, const struct syscall_fields *request, struct prepared *call);
/** Most bytes that write_result needs. */
size_t prepared_size(const struct prepared *call);
/** The fields of the SYSCALL reply. */
void write_result(struct buffer *reply, const struct prepared *call, int64_t result);

/** Frees the memory of calls whose process has ended. */
void pending_sweep(struct task *task);
/** A fork of the task has copies of their memory and pipes, which it has no use for. */
void pending_forget(struct task *task);

#endif
