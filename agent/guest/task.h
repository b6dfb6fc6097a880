#ifndef PROVIUM_TASK_H
#define PROVIUM_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena.h"
#include "buffer.h"
#include "bytes.h"
#include "message.h"

/**
 * The task: the single-threaded process in which a test's raw syscalls, file operations and command starts
 * happen, one after another, so that what one call changes (credentials, cwd, namespaces, descriptors) holds
 * for the next. It keeps no heap: what a request needs lives in `scratch` until the next request.
 */
struct task {
  uint8_t *arena;
  int bell;
  int answer;
  int passage;
  int proc_fd;
  int null_fd;
  /** Commands die with the agent: on the host nobody else would end them. */
  bool commands_die_with_agent;

  uint8_t *scratch;
  size_t scratch_used;
  /** Where a command runs between clone and exec; NULL until the first. */
  uint8_t *child_stack;

  /** Root at the start or after the last re-rooting: another one now is the test's own doing. */
  uint64_t root_device;
  uint64_t root_inode;

  /** Of the request at hand. */
  uint64_t call_number;
  uint32_t small_reply_slot;
  uint32_t reply_slot;
  struct buffer reply;
  int passed[PASSED_MAX];
  unsigned passed_count;
  uint32_t passed_mask;
  int32_t passed_pid;
};

_Noreturn void task_run(struct task *task);

/** Zeroed memory until the next request, aligned to 16 bytes; NULL when a request wants too much. */
void *task_memory(struct task *task, size_t size);
/** `bytes` with a terminating NUL, for use as a path or an argument; NULL (EINVAL) when it contains a NUL. */
char *task_string(struct task *task, struct bytes bytes);

/** Begins the reply with room for `size` bytes of payload; returns how many there are (the large slot has less). */
size_t task_reply_room(struct task *task, size_t size);
bool task_ok(struct task *task, const struct shape *shape, const void *values);
/** Answers ERROR and returns false, so that an operation can end with it. */
bool task_error(struct task *task, int error, const char *operation, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** ERROR about a path, with the text of `errno`. */
bool task_path_error(struct task *task, const char *operation, struct bytes path);

/** Operations: each decodes its payload and answers through task_ok or task_error. */
bool task_syscall(struct task *task, struct bytes payload);
bool task_ioctl(struct task *task, struct bytes payload);
bool task_read_mem(struct task *task, struct bytes payload);
bool task_file_get(struct task *task, struct bytes payload);
bool task_file_put(struct task *task, struct bytes payload);
bool task_file_open(struct task *task, struct bytes payload);
bool task_file_read(struct task *task, struct bytes payload);
bool task_file_write(struct task *task, struct bytes payload);
bool task_file_seek(struct task *task, struct bytes payload);
bool task_file_close(struct task *task, struct bytes payload);
bool task_stat(struct task *task, struct bytes payload);
bool task_listdir(struct task *task, struct bytes payload);
bool task_mkdir(struct task *task, struct bytes payload);
bool task_unlink(struct task *task, struct bytes payload);
bool task_rename(struct task *task, struct bytes payload);
bool task_mount_vfs(struct task *task, struct bytes payload);
bool task_clock_get(struct task *task, struct bytes payload);
bool task_clock_set(struct task *task, struct bytes payload);
bool task_clock_advance(struct task *task, struct bytes payload);
bool task_proc_start(struct task *task, struct bytes payload);

bool task_decode(struct task *task, const char *operation, const struct shape *shape, struct bytes payload, void *values);

#endif
