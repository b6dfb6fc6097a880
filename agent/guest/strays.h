#ifndef PROVIUM_STRAYS_H
#define PROVIUM_STRAYS_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent.h"

/**
 * Children of the I/O process that serve nobody any more and have not ended: the program that a main task has become
 * (execve), and a command whose task died before it could report it. They end with the session that made them.
 */

/** With `session` NULL, or without memory, it is killed at once. */
void stray_adopt(struct agent *agent, const struct session *session, pid_t pid);
/** It has been reaped. False when it was none of them. */
bool stray_reaped(struct agent *agent, pid_t pid);
bool stray_is_known(const struct agent *agent, pid_t pid);
/** Kills those of one session, or with NULL all. */
void strays_end(struct agent *agent, const struct session *session);

#endif
