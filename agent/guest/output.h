#ifndef PROVIUM_OUTPUT_H
#define PROVIUM_OUTPUT_H

#include "process.h"

/** What commands write: read from their pipes when the channel takes more, as far as the host has given credit. */

/** Stream 1 or 2 of a process that a task is asked to start, with the credit it begins with. */
void stream_init(struct process *process, int number, int64_t window);
/** The process runs: takes over the read end of the pipe (-1: it has none). */
bool stream_open(struct stream *stream, int fd);

/** Appends one DATA frame for each stream of the session that has something to say. */
void process_collect_output(struct session *session, struct buffer *out);
void process_credit(struct session *session, const struct credit_fields *request);

#endif
