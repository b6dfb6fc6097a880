#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "orphans.h"

static sigset_t heard_signals(void) {
  sigset_t heard;
  sigemptyset(&heard);
  sigaddset(&heard, SIGCHLD);
  sigaddset(&heard, SIGTERM);
  sigaddset(&heard, SIGHUP);
  sigaddset(&heard, SIGINT);
  return heard;
}

/** Reaps what has ended. True when the agent is among them, with what it ended with. */
static bool agent_ended(pid_t agent, int *status) {
  pid_t pid = 0;
  int how = 0;
  bool ended = false;
  while ((pid = waitpid(-1, &how, WNOHANG)) > 0) {
    if (pid != agent) continue;
    *status = how;
    ended = true;
  }
  return ended;
}

/** As it ended: who waits for the guard hears of the agent. */
static _Noreturn void end_alike(int status) {
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  /* The one core is the agent's. */
  const struct rlimit none = {0, 0};
  sigset_t all;
  int number = WTERMSIG(status);
  setrlimit(RLIMIT_CORE, &none);
  signal(number, SIG_DFL);
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, NULL);
  raise(number);
  _exit(128 + number);
}

static _Noreturn void watch_over(pid_t agent, const sigset_t *heard) {
  int status = 0;
  prctl(PR_SET_NAME, "provium-guard");
  /* The channel ends with the agent, whoever else is alive. Standard error stays, for the sanitizers' words. */
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  descriptors_close(3, ~0U);
  while (!agent_ended(agent, &status)) {
    siginfo_t info;
    int number = sigwaitinfo(heard, &info);
    if (number > 0 && number != SIGCHLD) kill(agent, number);
  }
  int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  orphans_end(proc);
  end_alike(status);
}

void guard_stand(void) {
  sigset_t heard = heard_signals();
  sigset_t before;
  pid_t guard = getpid();
  sigprocmask(SIG_BLOCK, &heard, &before);
  orphans_adopt();
  pid_t agent = fork();
  if (agent > 0) watch_over(agent, &heard);
  if (agent == 0) {
    /* Asked, not killed: it has commands to end. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != guard) _exit(0);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
}
