#include "task.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frame.h"
#include "messages.h"
#include "passing.h"
#include "pending.h"

/** Room for the buffers of the largest request with their alignment, and for argument vectors. */
#define SCRATCH_SIZE ((size_t)64 * 1024 * 1024)
/** More than this goes back to the kernel after the request. */
#define SCRATCH_KEEP ((size_t)256 * 1024)

typedef bool (*service)(struct task *task, struct bytes payload);

static service service_of(int64_t kind) {
  switch (kind) {
    case MESSAGE_PROC_START: return task_proc_start;
    case MESSAGE_SPAWN_WORKER: return task_spawn_worker;
    case MESSAGE_TAIL_START: return task_tail_start;
    case MESSAGE_FD_STREAM_START: return task_fd_stream_start;
    case MESSAGE_SYSCALL: return task_syscall;
    case MESSAGE_SYSCALL_START: return task_syscall_start;
    case MESSAGE_IOCTL: return task_ioctl;
    case MESSAGE_READ_MEM: return task_read_mem;
    case MESSAGE_FILE_GET: return task_file_get;
    case MESSAGE_FILE_PUT: return task_file_put;
    case MESSAGE_FILE_OPEN: return task_file_open;
    case MESSAGE_FILE_READ: return task_file_read;
    case MESSAGE_FILE_WRITE: return task_file_write;
    case MESSAGE_FILE_SEEK: return task_file_seek;
    case MESSAGE_FILE_CLOSE: return task_file_close;
    case MESSAGE_STAT: return task_stat;
    case MESSAGE_LISTDIR: return task_listdir;
    case MESSAGE_MKDIR: return task_mkdir;
    case MESSAGE_UNLINK: return task_unlink;
    case MESSAGE_RENAME: return task_rename;
    case MESSAGE_MOUNT_VFS: return task_mount_vfs;
    case MESSAGE_CLOCK_GET: return task_clock_get;
    case MESSAGE_CLOCK_SET: return task_clock_set;
    case MESSAGE_CLOCK_ADVANCE: return task_clock_advance;
    default: return NULL;
  }
}

void *task_memory(struct task *task, size_t size) {
  struct scratch *scratch = &task->scratch;
  size_t rounded = (size + 15) & ~(size_t)15;
  if (rounded < size || rounded > scratch->size - scratch->used) {
    errno = ENOMEM;
    return NULL;
  }
  uint8_t *memory = scratch->base + scratch->used;
  scratch->used += rounded;
  memset(memory, 0, rounded);
  return memory;
}

char *task_string(struct task *task, struct bytes bytes) {
  if (bytes.size > 0 && memchr(bytes.data, 0, bytes.size) != NULL) {
    errno = EINVAL;
    return NULL;
  }
  char *string = task_memory(task, bytes.size + 1);
  if (string != NULL && bytes.size > 0) memcpy(string, bytes.data, bytes.size);
  return string;
}

static uint8_t *slot_payload(const struct task *task, uint32_t slot) {
  return task->arena + slot_offset(slot);
}

size_t task_reply_room(struct task *task, size_t size) {
  size_t small = SMALL_SLOT;
  size_t large = (size_t)MAX_FRAME_BYTES - FRAME_HEAD_MAX;
  task->reply_slot = size <= small ? task->small_reply_slot : (uint32_t)LARGE_REPLY_SLOT;
  size_t room = size <= small ? small : large;
  buffer_over(&task->reply, slot_payload(task, task->reply_slot), room);
  return room;
}

bool task_ok(struct task *task, const struct shape *shape, const void *values) {
  message_encode(shape, values, &task->reply);
  if (!task->reply.failed) return true;
  return task_error(task, EMSGSIZE, "reply", "the answer does not fit into a frame");
}

bool task_error(struct task *task, int error, const char *operation, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  struct error_fields fields = {
      .errno_ = error,
      .operation = {(const uint8_t *)operation, strlen(operation)},
      .message = {(const uint8_t *)text, strlen(text)},
  };
  task_reply_room(task, 0);
  message_encode(&error_fields_shape, &fields, &task->reply);
  return false;
}

bool task_path_error(struct task *task, const char *operation, struct bytes path) {
  int error = errno;
  int shown = path.size > 300 ? 300 : (int)path.size;
  return task_error(task, error, operation, "%.*s: %s", shown, (const char *)path.data, strerror(error));
}

bool task_decode(struct task *task, const char *operation, const struct shape *shape, struct bytes payload,
                 void *values) {
  const char *field = NULL;
  if (message_decode(shape, payload, values, &field)) return true;
  return task_error(task, 0, operation, "field `%s` is missing or of a wrong type", field);
}

void task_pass(struct task *task, int fd, enum passed_fd which) {
  if (fd < 0) return;
  task->passed[task->passed_count++] = fd;
  task->passed_mask |= which;
}

int task_clone_flags(const struct task *task) {
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
  return CLONE_PARENT | SIGCHLD | (task->foreign ? CLONE_PIDFD : CLONE_PARENT_SETTID);
}

int *task_birth_mark(const struct task *task, int *pidfd) {
  *pidfd = -1;
  return task->foreign ? pidfd : &((struct arena_page *)(void *)task->arena)->born;
}

const char *task_clone_error(int error) {
  if (error == EINVAL && getpid() == 1) return "process 1 of a pid namespace cannot start anything here, a second worker in it can";
  return strerror(error);
}

/**
 * Threads of one process share their descriptors, and a fork has copies of all: it would keep open what another thread is
 * about to hand on, and a command's output would not end before the fork does. So those hand on together, and fork alone.
 */
static pthread_rwlock_t lent = PTHREAD_RWLOCK_INITIALIZER;

long task_fork_to_stay(const struct task *task, int *pidfd) {
  pthread_rwlock_wrlock(&lent);
  long pid = task_fork(task, pidfd);
  int error = errno;
  if (pid == 0) lent = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
  else pthread_rwlock_unlock(&lent);
  errno = error;
  return pid;
}

long task_fork(const struct task *task, int *pidfd) {
  return syscall(SYS_clone, task_clone_flags(task), 0, task_birth_mark(task, pidfd), 0, 0);
}

/** A distribution's switch_root moves PID 1 to another root: the task follows, unless the test has moved it. */
static void follow_root(struct task *task) {
  struct stat own;
  struct stat first;
  if (task->proc_fd < 0 || stat("/", &own) < 0) return;
  if (own.st_dev != task->root_device || own.st_ino != task->root_inode) return;
  if (fstatat(task->proc_fd, "1/root/", &first, 0) < 0) return;
  if (first.st_dev == own.st_dev && first.st_ino == own.st_ino) return;
  int fd = openat(task->proc_fd, "1/root/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  if (fchdir(fd) == 0 && chroot(".") == 0) {
    task->root_device = first.st_dev;
    task->root_inode = first.st_ino;
  }
  close(fd);
}

static void ring_answer(const struct task *task) {
  uint64_t one = 1;
  while (write(task->answer, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void task_announce_program(const struct task *task) {
  ((struct arena_page *)(void *)task->arena)->executes = task->call_number;
  ring_answer(task);
}

static void ring(struct task *task, bool ok) {
  struct arena_page *page = (struct arena_page *)(void *)task->arena;
  /* What does not get through the I/O process misses, and says so to the host. */
  if (task->passed_count > 0) pass_descriptors(task->passage, task->passed, task->passed_count);
  page->answer = (struct answer_sheet){
      .number = task->call_number,
      .kind = ok ? MESSAGE_OK : MESSAGE_ERROR,
      .payload_size = buffer_length(&task->reply),
      .slot = task->reply_slot,
      .pid = task->passed_pid,
      .tid = task->passed_tid,
      .passed_fds = task->passed_mask,
  };
  ring_answer(task);
  for (unsigned i = 0; i < task->passed_count; i++) close(task->passed[i]);
}

/** Whether it opens what only another process shall keep: a command's pipes, a stream's, a call's. */
static bool lends_descriptors(int64_t kind) {
  return kind == MESSAGE_PROC_START || kind == MESSAGE_TAIL_START || kind == MESSAGE_FD_STREAM_START ||
         kind == MESSAGE_SYSCALL_START;
}

static void serve(struct task *task, const struct call_sheet call) {
  task->call_number = call.number;
  task->small_reply_slot = call.small_reply_slot;
  task->scratch.used = 0;
  if (task->pending != NULL) pending_sweep(task);
  task->passed_count = 0;
  task->passed_mask = 0;
  task->passed_pid = 0;
  task->passed_tid = 0;
  task->foreign = call.pid != getpid();
  task_reply_room(task, 0);
  if ((call.flags & CALL_CHECK_ROOT) != 0) follow_root(task);
  service serve_it = service_of(call.kind);
  bool lends = lends_descriptors(call.kind);
  if (lends) pthread_rwlock_rdlock(&lent);
  struct bytes payload = {.data = task->arena + call.payload_offset, .size = call.payload_size};
  bool ok = serve_it != NULL ? serve_it(task, payload) : task_error(task, ENOSYS, "task", "no such operation");
  ring(task, ok);
  if (lends) pthread_rwlock_unlock(&lent);
  if (task->scratch.used > SCRATCH_KEEP) madvise(task->scratch.base, task->scratch.used, MADV_DONTNEED);
}

bool scratch_map(struct scratch *scratch) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *memory = mmap(NULL, SCRATCH_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) return false;
  *scratch = (struct scratch){.base = memory, .size = SCRATCH_SIZE};
  return true;
}

void scratch_unmap(struct scratch *scratch) { munmap(scratch->base, scratch->size); }

void task_serve(struct task *task) {
  for (;;) {
    uint8_t ring = 0;
    ssize_t count = read(task->bell, &ring, sizeof ring);
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof ring) return;
    const struct call_sheet call = ((struct arena_page *)(void *)task->arena)->call;
    if (call.kind == CALL_LEAVE) return;
    serve(task, call);
  }
}
