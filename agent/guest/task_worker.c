#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "messages.h"
#include "passing.h"
#include "pending.h"
#include "task.h"

/**
 * Making workers. The I/O process has sent the arena and the connections that the new task shall have; this task
 * becomes that one in a copy of itself (fork), or starts a thread that does (CLONE_THREAD).
 */

#define THREAD_STACK ((size_t)256 * 1024)
#define THREAD_FD 400

struct offer {
  int fds[OFFER_MAX];
  uint8_t *arena;
};

static void close_offer(const struct offer *offer) {
  for (int i = 0; i < OFFER_MAX; i++) {
    if (offer->fds[i] >= 0) close(offer->fds[i]);
  }
}

static bool take_offer(const struct task *task, struct offer *offer) {
  *offer = (struct offer){.fds = {-1, -1, -1, -1}};
  if (take_descriptors(task->passage, offer->fds, OFFER_MAX) != OFFER_MAX) {
    errno = EMFILE;
    close_offer(offer);
    return false;
  }
  offer->arena = arena_attach(offer->fds[OFFER_ARENA]);
  if (offer->arena != NULL) return true;
  int error = errno;
  close_offer(offer);
  errno = error;
  return false;
}

/** The new descriptor takes the old one's number; where a limit forbids that it stays where it is. */
static void take_place(int *old, int fd) {
  if (dup3(fd, *old, O_CLOEXEC) >= 0) {
    close(fd);
  } else {
    close(*old);
    *old = fd;
  }
}

/** First life of a forked worker. */
static _Noreturn void fork_born(struct task *task, const struct offer *offer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "provium-worker");
  setsid();
  arena_detach(task->arena);
  task->arena = offer->arena;
  pending_forget(task);
  take_place(&task->bell, offer->fds[OFFER_BELL]);
  take_place(&task->answer, offer->fds[OFFER_ANSWER]);
  take_place(&task->passage, offer->fds[OFFER_PASSAGE]);
  close(offer->fds[OFFER_ARENA]);
  task_serve(task);
  _exit(124);
}

struct birth {
  struct task task;
  sem_t born;
  pid_t tid;
};

/** The threads' descriptors are in the table that the test uses: out of the way of its own, like those of the task. */
static void move_up(int *fd) {
  int moved = fcntl(*fd, F_DUPFD_CLOEXEC, THREAD_FD);
  if (moved < 0) return;
  close(*fd);
  *fd = moved;
}

/**
 * Life of a worker that is a thread. It ends when it is told to, and gives back what it had; when the test ends it in
 * a call (exit), what it had stays until the process ends.
 */
static void *thread_lives(void *argument) {
  struct birth *birth = argument;
  struct task *task = &birth->task;
  prctl(PR_SET_NAME, "provium-thread");
  birth->tid = (pid_t)syscall(SYS_gettid);
  sem_post(&birth->born);
  task_serve(task);
  pending_sweep(task);
  close(task->bell);
  close(task->answer);
  close(task->passage);
  arena_detach(task->arena);
  scratch_unmap(&task->scratch);
  task_free_stack(task);
  munmap(birth, sizeof *birth);
  return NULL;
}

static struct birth *prepare_thread(const struct task *task, const struct offer *offer) {
  void *memory = mmap(NULL, sizeof(struct birth), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  struct birth *birth = memory;
  *birth = (struct birth){.task = *task};
  struct task *own = &birth->task;
  own->arena = offer->arena;
  own->child_stack = NULL;
  own->pending = NULL;
  if (!scratch_map(&own->scratch)) {
    munmap(birth, sizeof *birth);
    return NULL;
  }
  return birth;
}

static int start_thread(struct birth *birth) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, THREAD_STACK);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sem_init(&birth->born, 0, 0);
  int error = pthread_create(&thread, &attributes, thread_lives, birth);
  pthread_attr_destroy(&attributes);
  return error;
}

/** Makes the thread and answers with it; the offer is the thread's own then. */
static bool spawn_thread(struct task *task, struct offer *offer, int64_t number) {
  if (task->foreign) return task_error(task, EINVAL, "spawn", "no threads of a worker in another pid namespace");
  struct birth *birth = prepare_thread(task, offer);
  if (birth == NULL) return task_error(task, errno, "mmap", "no memory for a thread: %s", strerror(errno));
  struct task *own = &birth->task;
  move_up(&offer->fds[OFFER_BELL]);
  move_up(&offer->fds[OFFER_ANSWER]);
  move_up(&offer->fds[OFFER_PASSAGE]);
  own->bell = offer->fds[OFFER_BELL];
  own->answer = offer->fds[OFFER_ANSWER];
  own->passage = offer->fds[OFFER_PASSAGE];
  int error = start_thread(birth);
  if (error != 0) {
    scratch_unmap(&own->scratch);
    munmap(birth, sizeof *birth);
    return task_error(task, error, "clone", "cannot make a thread: %s", strerror(error));
  }
  /* Nothing in `birth` changes before the worker's first request, which follows this answer. */
  while (sem_wait(&birth->born) < 0) continue;
  task->passed_pid = getpid();
  task->passed_tid = birth->tid;
  struct worker_started_fields reply = {.worker = number, .pid = task->passed_pid, .tid = birth->tid};
  return task_ok(task, &worker_started_fields_shape, &reply);
}

static bool spawn_fork(struct task *task, const struct offer *offer, int64_t number) {
  int pidfd = -1;
  long pid = task_fork_to_stay(task, &pidfd);
  if (pid == 0) fork_born(task, offer);
  if (pid < 0) return task_error(task, errno, "clone", "%s", task_clone_error(errno));
  task_pass(task, pidfd, PASSED_PIDFD);
  task->passed_pid = (int32_t)pid;
  task->passed_tid = (int32_t)pid;
  struct worker_started_fields reply = {.worker = number, .pid = pid, .tid = pid};
  return task_ok(task, &worker_started_fields_shape, &reply);
}

bool task_spawn_worker(struct task *task, struct bytes payload) {
  struct spawn_worker_fields request;
  struct offer offer;
  /* Taken in any case: what lies in the passage belongs to this request. */
  bool taken = take_offer(task, &offer);
  int error = errno;
  if (!taken) return task_error(task, error, "spawn", "no connections for the worker: %s", strerror(error));
  bool kept = false;
  bool spawned = task_decode(task, "SPAWN_WORKER", &spawn_worker_fields_shape, payload, &request);
  if (spawned && request.thread) {
    spawned = spawn_thread(task, &offer, request.worker);
    kept = spawned;
  } else if (spawned) {
    spawned = spawn_fork(task, &offer, request.worker);
  }
  if (kept) {
    close(offer.fds[OFFER_ARENA]);
  } else {
    arena_detach(offer.arena);
    close_offer(&offer);
  }
  return spawned;
}
