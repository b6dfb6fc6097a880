#ifndef PROVIUM_REAP_H
#define PROVIUM_REAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent.h"

/** Children of the I/O process: commands, tasks, workers, and whoever else was left to it. */

/** Reaps whatever has ended. */
void children_reap(struct agent *agent);
/** Whether a process is a child of this one. */
bool child_is_ours(pid_t pid);
/** Whether a child is somebody's already: a task, a command or a stray. */
bool child_is_known(const struct agent *agent, pid_t pid);

#endif
