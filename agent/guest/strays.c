#include "strays.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

struct stray {
  struct stray *next;
  const struct session *session;
  pid_t pid;
};

static void kill_with_group(pid_t pid) {
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
}

void stray_adopt(struct agent *agent, const struct session *session, pid_t pid) {
  struct stray *stray = session != NULL ? calloc(1, sizeof *stray) : NULL;
  if (stray == NULL) {
    kill_with_group(pid);
    return;
  }
  *stray = (struct stray){.next = agent->strays, .session = session, .pid = pid};
  agent->strays = stray;
}

static struct stray **find(struct agent *agent, pid_t pid) {
  struct stray **at = &agent->strays;
  while (*at != NULL && (*at)->pid != pid) at = &(*at)->next;
  return at;
}

bool stray_reaped(struct agent *agent, pid_t pid) {
  struct stray **at = find(agent, pid);
  struct stray *stray = *at;
  if (stray == NULL) return false;
  *at = stray->next;
  free(stray);
  return true;
}

bool stray_is_known(const struct agent *agent, pid_t pid) {
  const struct stray *stray = agent->strays;
  while (stray != NULL && stray->pid != pid) stray = stray->next;
  return stray != NULL;
}

void strays_end(struct agent *agent, const struct session *session) {
  for (struct stray **at = &agent->strays; *at != NULL;) {
    struct stray *stray = *at;
    if (session != NULL && stray->session != session) {
      at = &stray->next;
      continue;
    }
    kill_with_group(stray->pid);
    *at = stray->next;
    free(stray);
  }
}
