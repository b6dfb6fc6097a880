#include "power.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "poweroff.h"

#define MILLISECOND ((int64_t)1000000)
/** How long the acknowledgement may take to leave before the machine goes down all the same. */
#define FLUSH_PATIENCE (1000 * MILLISECOND)

/** sync(2) cannot be bounded or interrupted: a child does it, and the agent stops waiting when time is up. */
static void sync_bounded(int64_t sync_ms) {
  if (sync_ms <= 0) return;
  pid_t pid = fork();
  if (pid == 0) {
    sync();
    _exit(0);
  }
  int64_t end = monotonic_ns() + sync_ms * MILLISECOND;
  while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0 && monotonic_ns() < end) poll(NULL, 0, 1);
}

void power_down(struct session *session, int64_t sync_ms) {
  struct agent *agent = session->agent;
  int64_t end = monotonic_ns() + FLUSH_PATIENCE;
  session_flush(session);
  while (!session->closed && !session_idle(session) && monotonic_ns() < end) {
    struct pollfd channel = {.fd = session->watch.fd, .events = POLLOUT};
    poll(&channel, 1, 10);
    session->blocked = false;
    session_flush(session);
  }
  agent->stopping = true;
  if (!agent->in_guest) return;
  sync_bounded(sync_ms > 60000 ? 60000 : sync_ms);
  power_off_now(agent->proc_fd);
  agent->stopping = false;
}
