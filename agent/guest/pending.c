#include "pending.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "rawcall.h"

/**
 * A pending call is made by a process that shares this task's memory, descriptors and directory, but is no thread of
 * it: killing it ends the call and nothing else. It shares the task's thread-local memory too, so it must not touch
 * errno: from its first to its last instruction it makes raw system calls only.
 */

#define STACK_SIZE ((size_t)64 * 1024)
/** Its end of the pipe is in the task's descriptor table; up here it is in nobody's way. */
#define HIGH_FD 400

/** Lies behind the stack in a mapping of its own, in front of the buffers and the reply. */
struct pending {
  struct pending *next;
  size_t size;
  /** The kernel writes 0 here when the process has let go of the memory (CLONE_CHILD_CLEARTID). */
  volatile pid_t alive;
  volatile int output;
  struct prepared call;
  struct buffer reply;
};

/** Not instrumented: one that is killed leaves its stack as it was, and the memory serves again. */
__attribute__((no_sanitize("address"))) static int make_call(void *argument) {
  struct pending *pending = argument;
  raw_call(SYS_prctl, (uint64_t[6]){PR_SET_PDEATHSIG, SIGKILL});
  int64_t result = raw_call(pending->call.number, pending->call.arguments);
  struct buffer *reply = &pending->reply;
  write_result(reply, &pending->call, result);
  while (buffer_length(reply) > 0) {
    uint64_t arguments[6] = {(uint64_t)pending->output, (uintptr_t)buffer_begin(reply), buffer_length(reply)};
    int64_t count = raw_call(SYS_write, arguments);
    if (count > 0) buffer_consume(reply, (size_t)count);
    else if (count != -EINTR) break;
  }
  raw_call(SYS_close, (uint64_t[6]){(uint64_t)pending->output});
  pending->output = -1;
  return 0;
}

static void release(struct pending *pending) {
  if (pending->output >= 0) close(pending->output);
  munmap((uint8_t *)pending - STACK_SIZE, pending->size);
}

void pending_sweep(struct task *task) {
  for (struct pending **at = &task->pending; *at != NULL;) {
    struct pending *pending = *at;
    if (pending->alive != 0) {
      at = &pending->next;
      continue;
    }
    *at = pending->next;
    release(pending);
  }
}

void pending_forget(struct task *task) {
  while (task->pending != NULL) {
    struct pending *pending = task->pending;
    task->pending = pending->next;
    release(pending);
  }
}

static struct pending *create(size_t payload_size, uint32_t buffers) {
  /* The buffers twice, as they are and in the reply, each with its alignment. */
  size_t size = STACK_SIZE + sizeof(struct pending) + 2 * payload_size + (size_t)buffers * 64 + 4096;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  struct pending *pending = (struct pending *)(void *)((uint8_t *)memory + STACK_SIZE);
  *pending = (struct pending){.size = size, .output = -1};
  return pending;
}

/** Everything that the call needs, in the memory of its own. */
static bool prepare(struct task *task, const struct syscall_fields *request, struct pending *pending) {
  struct scratch scratch = task->scratch;
  task->scratch = (struct scratch){.base = (uint8_t *)pending - STACK_SIZE,
                                   .used = STACK_SIZE + ((sizeof *pending + 15) & ~(size_t)15),
                                   .size = pending->size};
  bool prepared = prepare_syscall(task, request, &pending->call);
  size_t room = prepared ? prepared_size(&pending->call) : 0;
  void *reply = prepared ? task_memory(task, room) : NULL;
  task->scratch = scratch;
  if (!prepared) return false;
  if (reply == NULL) return task_error(task, ENOMEM, "SYSCALL_START", "the buffers are too large");
  buffer_over(&pending->reply, reply, room);
  return true;
}

#ifdef __GLIBC__
static pid_t start_call(struct pending *pending, int flags, int *mark) {
  return clone(make_call, pending, flags, pending, mark, NULL, &pending->alive);
}
#else
/** What musl's own clone() ends in. That refuses CLONE_CHILD_CLEARTID since 1.2.5, for it would forge one of its threads. */
extern int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);

static pid_t start_call(struct pending *pending, int flags, int *mark) {
  int pid = __clone(make_call, pending, flags, pending, mark, (void *)NULL, &pending->alive);
  if (pid >= 0) return pid;
  errno = -pid;
  return -1;
}
#endif

static bool start(struct task *task, struct pending *pending) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return task_error(task, errno, "pipe", "no pipe: %s", strerror(errno));
  int high = fcntl(ends[1], F_DUPFD_CLOEXEC, HIGH_FD);
  pending->output = ends[1];
  if (high >= 0) {
    close(ends[1]);
    pending->output = high;
  }
  int flags = task_clone_flags(task) | CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_CHILD_CLEARTID;
  int pidfd = -1;
  int *mark = task_birth_mark(task, &pidfd);
  pending->alive = 1;
  pid_t pid = start_call(pending, flags, mark);
  int error = errno;
  if (pid < 0) {
    close(ends[0]);
    return task_error(task, error, "clone", "%s", task_clone_error(error));
  }
  task_pass(task, ends[0], PASSED_STDOUT);
  task_pass(task, pidfd, PASSED_PIDFD);
  task->passed_pid = pid;
  struct syscall_start_reply reply = {.pid = pid};
  return task_ok(task, &syscall_start_reply_shape, &reply);
}

bool task_syscall_start(struct task *task, struct bytes payload) {
  struct syscall_start_fields fields;
  if (!task_decode(task, "SYSCALL_START", &syscall_start_fields_shape, payload, &fields)) return false;
  struct syscall_fields request = {
      .nr = fields.nr, .args = fields.args, .bufs = fields.bufs, .ptrs = fields.ptrs, .nested = fields.nested};
  struct pending *pending = create(payload.size, fields.bufs.count);
  if (pending == NULL) return task_error(task, errno, "mmap", "no memory for the call: %s", strerror(errno));
  if (!prepare(task, &request, pending) || !start(task, pending)) {
    release(pending);
    return false;
  }
  pending->next = task->pending;
  task->pending = pending;
  return true;
}
