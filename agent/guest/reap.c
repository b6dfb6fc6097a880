#include "reap.h"

#include <stddef.h>
#include <sys/wait.h>

#include "actor.h"
#include "process.h"
#include "strays.h"

bool child_is_ours(pid_t pid) {
  siginfo_t info = {0};
  return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool child_is_known(const struct agent *agent, pid_t pid) {
  for (const struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    if (actor->pid == pid) return true;
  }
  for (const struct process *process = agent->processes; process != NULL; process = process->next) {
    if (process->pid == pid && process->running) return true;
  }
  return stray_is_known(agent, pid);
}

static bool child_ended(struct agent *agent, const siginfo_t *info) {
  int64_t how = info->si_code == CLD_EXITED ? HOW_EXITED : HOW_SIGNALLED;
  if (actors_child_ended(agent, info->si_pid, how, info->si_status)) return true;
  for (struct process *process = agent->processes; process != NULL; process = process->next) {
    if (!process->running || process->pid != info->si_pid) continue;
    process_ended(process, how, info->si_status);
    return true;
  }
  return stray_reaped(agent, info->si_pid);
}

static void reap_all(struct agent *agent) {
  siginfo_t info = {0};
  while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
    child_ended(agent, &info);
    info.si_pid = 0;
  }
}

/** Reaps one child if it has ended. */
static bool reap(struct agent *agent, pid_t pid) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0) return false;
  child_ended(agent, &info);
  return true;
}

/** Reaps one of those that are known to be children. False when none has ended. */
static bool reap_one_known(struct agent *agent) {
  for (struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    if (actor->pid > 0 && !actor->thread && reap(agent, actor->pid)) return true;
  }
  for (struct process *process = agent->processes; process != NULL; process = process->next) {
    if (process->running && reap(agent, process->pid)) return true;
  }
  return false;
}

/** A child that nobody knows may be one whose start a task has not reported yet. */
static bool starting(const struct agent *agent) {
  for (const struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    const struct call *call = actor->running;
    if (call != NULL && (call->process != NULL || call->worker != NULL)) return true;
  }
  return false;
}

void children_reap(struct agent *agent) {
  if (!starting(agent)) {
    reap_all(agent);
    return;
  }
  while (reap_one_known(agent)) continue;
  /* The task whose report was awaited may have been among them. */
  if (!starting(agent)) reap_all(agent);
}
