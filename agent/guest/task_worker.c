#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

bool task_spawn_worker(struct task *task, struct bytes payload) {
  struct spawn_worker_fields request;
  struct offer offer;
  /* Taken in any case: what lies in the passage belongs to this request. */
  bool taken = take_offer(task, &offer);
  int error = errno;
  if (!taken) return task_error(task, error, "spawn", "no connections for the worker: %s", strerror(error));
  if (!task_decode(task, "SPAWN_WORKER", &spawn_worker_fields_shape, payload, &request)) {
    arena_detach(offer.arena);
    close_offer(&offer);
    return false;
  }
  long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) fork_born(task, &offer);
  error = errno;
  arena_detach(offer.arena);
  close_offer(&offer);
  if (pid < 0) return task_error(task, error, "clone", "cannot make a worker: %s", strerror(error));
  task->passed_pid = (int32_t)pid;
  task->passed_tid = (int32_t)pid;
  struct worker_started_fields reply = {.worker = request.worker, .pid = pid, .tid = pid};
  return task_ok(task, &worker_started_fields_shape, &reply);
}
