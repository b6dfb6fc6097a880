#include "birth.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "oom.h"
#include "task.h"

/** The agent's descriptors live up here, so that a test's first open() gives 3. */
#define HIGH_FD 900

static void interrupted(int number) { (void)number; }

/** Moves the descriptors up and closes all others above 2. The moved ones end up in a row. */
static void keep_only(int *fds, unsigned count) {
  struct rlimit limit = {.rlim_cur = 256};
  getrlimit(RLIMIT_NOFILE, &limit);
  int base = limit.rlim_cur > HIGH_FD + 16 ? HIGH_FD : (int)limit.rlim_cur / 2;
  for (unsigned i = 0; i < count; i++) {
    if (fds[i] < 0) continue;
    int moved = fcntl(fds[i], F_DUPFD_CLOEXEC, base + 16);
    if (moved < 0) _exit(125);
    fds[i] = moved;
  }
  for (unsigned i = 0; i < count; i++) {
    if (fds[i] < 0) continue;
    int moved = dup3(fds[i], base + (int)i, O_CLOEXEC);
    if (moved < 0) _exit(125);
    fds[i] = moved;
  }
  descriptors_close(3, (unsigned)base - 1);
  descriptors_close((unsigned)base + count, ~0U);
}

/** SIGPIPE stays ignored: a raw write to a pipe that nobody reads shall fail, not end the task. */
static void set_signals(void) {
  sigset_t none;
  struct sigaction interrupt = {.sa_handler = interrupted};
  sigaction(INTERRUPT_SIGNAL, &interrupt, NULL);
  signal(SIGHUP, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void task_born(const struct agent *agent, pid_t agent_pid, uint8_t *arena, int bell, int answer, int passage) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != agent_pid) _exit(0);
  prctl(PR_SET_NAME, "provium-task");
  set_signals();
  if (agent->in_guest) oom_score_adjust(agent->proc_fd, OOM_SCORE_OF_TASKS);
  setsid();

  int fds[] = {bell, answer, passage, agent->proc_fd, agent->null_fd};
  keep_only(fds, sizeof fds / sizeof fds[0]);
  if (fds[4] >= 0) dup2(fds[4], STDIN_FILENO);

  struct stat root = {0};
  stat("/", &root);
  struct task task = {
      .arena = arena,
      .bell = fds[0],
      .answer = fds[1],
      .passage = fds[2],
      .proc_fd = fds[3],
      .null_fd = fds[4],
      .in_guest = agent->in_guest,
      .root_device = root.st_dev,
      .root_inode = root.st_ino,
  };
  if (!scratch_map(&task.scratch)) _exit(125);
  task_serve(&task);
  _exit(124);
}
