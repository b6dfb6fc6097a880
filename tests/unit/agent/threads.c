#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "messages.h"
#include "passing.h"
#include "task.h"

/**
 * A task and its workers that are threads, under ThreadSanitizer. It sees threads of one process and no memory that
 * processes share; so the task, a process of its own in the agent, is a thread here, and main() does what the I/O
 * process does: it writes a sheet, rings the bell, waits for the answer. The code of the task is the agent's.
 *
 *   threads          rounds of requests to all at once; workers come and go
 *   threads planted  touches a sheet between the bell and the answer, which must be reported
 */

enum { WORKERS = 3, GENERATIONS = 10, ROUNDS = 20, ENDS = WORKERS + 1 };

/** What the I/O process has of a task. */
struct end {
  struct arena arena;
  int memory;
  int bell;
  int answer;
  int passage;
  uint64_t number;
  int request_slot;
  int reply_slot;
  pid_t tid;
};

static struct end ends[ENDS];
static bool planted;

uint8_t *__wrap_arena_attach(int fd);
void __wrap_arena_detach(uint8_t *base);
ssize_t __real_read(int fd, void *into, size_t size);
ssize_t __real_write(int fd, const void *from, size_t size);
ssize_t __wrap_read(int fd, void *into, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t size);
void __tsan_acquire(void *address);
void __tsan_release(void *address);

static ino_t inode(int fd) {
  struct stat facts;
  assert(fstat(fd, &facts) == 0);
  return facts.st_ino;
}

/* Mapped once for both sides: under two addresses a race would not be one. */
uint8_t *__wrap_arena_attach(int fd) {
  for (int i = 1; i < ENDS; i++) {
    if (ends[i].memory >= 0 && inode(ends[i].memory) == inode(fd)) return ends[i].arena.base;
  }
  errno = EBADF;
  return NULL;
}

void __wrap_arena_detach(uint8_t *base) { (void)base; }

/* What is written to a pipe comes before it is read. TSan loses that of descriptors which came through a socket. */
static char order[4096];

ssize_t __wrap_read(int fd, void *into, size_t size) {
  ssize_t count = __real_read(fd, into, size);
  if (count > 0) __tsan_acquire(&order[inode(fd) % sizeof order]);
  return count;
}

ssize_t __wrap_write(int fd, const void *from, size_t size) {
  __tsan_release(&order[inode(fd) % sizeof order]);
  return __real_write(fd, from, size);
}

static void ask(struct end *end, int64_t kind, const struct shape *shape, const void *values) {
  struct arena_page *page = arena_page(&end->arena);
  struct buffer payload;
  end->request_slot = arena_claim_request(&end->arena, SMALL_SLOT);
  end->reply_slot = arena_claim_reply(&end->arena);
  assert(end->request_slot >= 0 && end->reply_slot >= 0);
  buffer_over(&payload, arena_slot(&end->arena, (unsigned)end->request_slot), SMALL_SLOT);
  message_encode(shape, values, &payload);
  page->call = (struct call_sheet){
      .number = ++end->number,
      .kind = kind,
      .small_reply_slot = (uint32_t)end->reply_slot,
      .pid = getpid(),
      .payload_offset = slot_offset((unsigned)end->request_slot),
      .payload_size = buffer_length(&payload),
  };
  assert(write(end->bell, &(uint8_t){0}, 1) == 1);
  if (planted) page->call.flags = CALL_CHECK_ROOT;
}

/** The answer, decoded into `values` where there is a shape. */
static void hear(struct end *end, const struct shape *shape, void *values) {
  uint64_t rung = 0;
  const char *field = NULL;
  while (read(end->answer, &rung, sizeof rung) < 0) assert(errno == EINTR);
  const struct answer_sheet answer = arena_page(&end->arena)->answer;
  assert(answer.number == end->number && answer.kind == MESSAGE_OK && answer.slot == (uint32_t)end->reply_slot);
  struct bytes payload = {arena_slot(&end->arena, answer.slot), answer.payload_size};
  if (shape != NULL) assert(message_decode(shape, payload, values, &field));
  arena_release(&end->arena, (unsigned)end->request_slot, SMALL_SLOT);
  arena_release(&end->arena, (unsigned)end->reply_slot, SMALL_SLOT);
}

/** Our side is kept, the other is returned. */
static struct task connect_end(struct end *end, bool handed) {
  int bell[2];
  /* An eventfd in the agent; but all of those have one inode. */
  int answer[2];
  int passage[2];
  *end = (struct end){.memory = -1};
  assert(arena_map(&end->arena, handed ? &end->memory : NULL));
  assert(pipe2(bell, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
  assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, passage) == 0);
  end->bell = bell[1];
  end->answer = answer[0];
  end->passage = passage[0];
  return (struct task){.arena = end->arena.base,
                       .bell = bell[0],
                       .answer = answer[1],
                       .passage = passage[1],
                       .proc_fd = -1,
                       .null_fd = -1};
}

static void disconnect(struct end *end) {
  close(end->bell);
  close(end->answer);
  close(end->passage);
  if (end->memory >= 0) close(end->memory);
  arena_unmap(&end->arena);
  end->memory = -1;
}

static void close_task(const struct task *task) {
  close(task->bell);
  close(task->answer);
  close(task->passage);
}

static void start_worker(struct end *maker, struct end *worker, int64_t number) {
  struct task task = connect_end(worker, true);
  const int offer[OFFER_MAX] = {[OFFER_ARENA] = worker->memory,
                                [OFFER_BELL] = task.bell,
                                [OFFER_ANSWER] = task.answer,
                                [OFFER_PASSAGE] = task.passage};
  struct spawn_worker_fields request = {.worker = number, .thread = true};
  struct worker_started_fields started;
  assert(pass_descriptors(maker->passage, offer, OFFER_MAX));
  close_task(&task);
  ask(maker, MESSAGE_SPAWN_WORKER, &spawn_worker_fields_shape, &request);
  hear(maker, &worker_started_fields_shape, &started);
  assert(started.worker == number && started.pid == getpid());
  worker->tid = (pid_t)started.tid;
}

static void tell_to_leave(struct end *end) {
  arena_page(&end->arena)->call = (struct call_sheet){.kind = CALL_LEAVE};
  assert(write(end->bell, &(uint8_t){0}, 1) == 1);
}

/** As the I/O process does it, which looks until the kernel does not know the thread any more. */
static void end_worker(struct end *worker) {
  tell_to_leave(worker);
  while (syscall(SYS_tgkill, getpid(), worker->tid, 0) == 0) sched_yield();
  disconnect(worker);
}

static struct bytes text(const char *words) { return (struct bytes){(const uint8_t *)words, strlen(words)}; }

/** Something of everything that happens in a task itself. */
static void ask_for(struct end *end, int round) {
  struct file_get_fields get = {.path = text("/proc/self/status"), .limit = 65536};
  struct listdir_fields list = {.path = text("/proc/self/fd"), .fd = -1};
  struct stat_fields look = {.path = text("/proc/self"), .follow = true};
  switch (round % 4) {
    case 0: ask(end, MESSAGE_FILE_GET, &file_get_fields_shape, &get); break;
    case 1: ask(end, MESSAGE_LISTDIR, &listdir_fields_shape, &list); break;
    case 2: ask(end, MESSAGE_STAT, &stat_fields_shape, &look); break;
    default: ask(end, MESSAGE_SYSCALL, &syscall_fields_shape, &(struct syscall_fields){.nr = SYS_getpid});
  }
}

static void *serve(void *task) {
  task_serve(task);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t thread;
  struct task task = connect_end(&ends[0], false);
  planted = argc > 1 && strcmp(argv[1], "planted") == 0;
  assert(scratch_map(&task.scratch));
  assert(pthread_create(&thread, NULL, serve, &task) == 0);
  for (int generation = 0; generation < GENERATIONS; generation++) {
    for (int i = 1; i < ENDS; i++) start_worker(&ends[0], &ends[i], generation * WORKERS + i + 1);
    for (int round = 0; round < ROUNDS; round++) {
      for (int i = 0; i < ENDS; i++) ask_for(&ends[i], round + i);
      for (int i = 0; i < ENDS; i++) hear(&ends[i], NULL, NULL);
    }
    for (int i = 1; i < ENDS; i++) end_worker(&ends[i]);
  }
  tell_to_leave(&ends[0]);
  pthread_join(thread, NULL);
  scratch_unmap(&task.scratch);
  disconnect(&ends[0]);
  close_task(&task);
  printf("%d requests\n", GENERATIONS * (ROUNDS * ENDS + WORKERS));
  return 0;
}
