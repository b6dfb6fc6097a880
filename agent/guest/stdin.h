#ifndef PROVIUM_STDIN_H
#define PROVIUM_STDIN_H

#include "process.h"

/** What the host writes into a command's standard input: queued, and answered when it is in the pipe. */

void stdin_init(struct process *process, bool keep);
/** Queues bytes; false when too much waits already. `request_id` -1: nobody waits for an answer. */
bool stdin_queue(struct process *process, int64_t request_id, struct bytes data, bool close);
/** The pipe is there (-1: the command reads /dev/null). */
void stdin_started(struct process *process, int fd);
/** Writes what the pipe takes now. */
void stdin_push(struct process *process);
/** Closes the pipe and answers everything queued with ERROR `error`. */
void stdin_end(struct process *process, int error);
bool stdin_cancel(struct process *process, int64_t request_id);

#endif
