#include "rehearsal.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/** A shell that is none must not hold up the agent. */
#define PATIENCE_S 2

/**
 * Nobody waits for anything else of an agent whose session is parked, so it may wait itself. Whether there is a shell,
 * or room for another process, is all the same: what could be run has been run.
 */
void rehearse(struct session *session, const struct frame_head *head) {
  if (!session->parked) {
    session_refuse(session, head->actor, head->request_id, EINVAL, "REHEARSE", "the session is not parked");
    return;
  }
  pid_t pid = fork();
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    alarm(PATIENCE_S);
    execl("/bin/sh", "sh", "-c", ":", (char *)NULL);
    _exit(0);
  }
  while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  /* Parked anew: the answer is the last that leaves. */
  session->parked = false;
  session->park_request = head->request_id;
}
