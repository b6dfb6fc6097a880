#ifndef PROVIUM_BIRTH_H
#define PROVIUM_BIRTH_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.h"

/** Interrupts a task's blocking call. Its handler does nothing; programs that a task starts do not see it. */
#define INTERRUPT_SIGNAL SIGRTMAX

/** First life of a forked task: drops what belongs to the I/O process and starts to serve. */
_Noreturn void task_born(const struct agent *agent, pid_t agent_pid, uint8_t *arena, int bell, int answer, int passage);

#endif
