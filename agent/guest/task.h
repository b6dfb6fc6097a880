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
/** Memory handed out from its start until it is reset. */
struct scratch {
  uint8_t *base;
  size_t used;
  size_t size;
};

struct task {
  uint8_t *arena;
  int bell;
  int answer;
  int passage;
  int proc_fd;
  int null_fd;
  /** Otherwise on the host, where commands die with the agent: nobody else would end them. */
  bool in_guest;

  struct scratch scratch;
  /** Calls that other processes make in this task's memory. */
  struct pending *pending;
  /** Where a command runs between clone and exec; NULL until the first. */
  uint8_t *child_stack;

  /** Root at the start or after the last re-rooting: another one now is the test's own doing. */
  uint64_t root_device;
  uint64_t root_inode;

  /** This task's pid namespace is not that of the I/O process: a pid means nothing to it, a pidfd goes along. */
  bool foreign;

  /** Of the request at hand. */
  uint64_t call_number;
  uint32_t small_reply_slot;
  uint32_t reply_slot;
  struct buffer reply;
  int passed[PASSED_MAX];
  unsigned passed_count;
  uint32_t passed_mask;
  int32_t passed_pid;
  int32_t passed_tid;
};

/** Memory for what one request needs; false with errno set. */
bool scratch_map(struct scratch *scratch);
void scratch_unmap(struct scratch *scratch);
/** Where its commands began. */
void task_free_stack(struct task *task);
/** Serves requests until it is told to leave or its connections are gone. */
void task_serve(struct task *task);

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

/** Hands a descriptor (-1: none) to the I/O process with the answer; this task's copy is closed then. */
void task_pass(struct task *task, int fd, enum passed_fd which);

/** Flags for a clone whose parent is to be the I/O process. */
int task_clone_flags(const struct task *task);
/** Where that clone writes who was born (its parent_tid): a foreign task's child into *pidfd, else onto the sheet. */
int *task_birth_mark(const struct task *task, int *pidfd);
/** Why a clone failed, in words: process 1 of a pid namespace cannot have siblings (EINVAL). */
const char *task_clone_error(int error);
/** A copy of this task as a child of the I/O process; like fork(2). For one that closes what it does not need. */
long task_fork(const struct task *task, int *pidfd);
/** The same, while no other thread of this process has descriptors open that are not for the copy. */
long task_fork_to_stay(const struct task *task, int *pidfd);

/**
 * A program may take the place of this task (execve(2)). That is known by the end of its connections, but a pending
 * call or the fork of a thread may have copies of them: so the I/O process is told to look.
 */
void task_announce_program(const struct task *task);

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
bool task_tail_start(struct task *task, struct bytes payload);
bool task_fd_stream_start(struct task *task, struct bytes payload);
bool task_spawn_worker(struct task *task, struct bytes payload);
bool task_syscall_start(struct task *task, struct bytes payload);

bool task_decode(struct task *task, const char *operation, const struct shape *shape, struct bytes payload, void *values);

#endif
