#ifndef PROVIUM_PROCESS_H
#define PROVIUM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.h"
#include "buffer.h"
#include "frame.h"
#include "bytes.h"
#include "message.h"
#include "messages.h"

/**
 * Commands, as the I/O process owns them: pipes, credit, deadline, exit. A task started them, but the I/O
 * process is their parent (CLONE_PARENT), so it serves and reaps them whatever the task is doing.
 */

enum { STREAM_STDOUT = 1, STREAM_STDERR = 2, HOW_EXITED = 0, HOW_SIGNALLED = 1, HOW_REPLACED = 2 };

struct stream {
  struct watch watch;
  struct process *process;
  int number;
  int64_t credit;
  uint64_t carried;
  bool readable;
  bool hung_up;
  bool ended;
  bool widened;
};

/** Bytes on their way into stdin; `request_id` is answered when they are in the pipe, -1: by nobody. */
struct stdin_chunk {
  struct stdin_chunk *next;
  int64_t request_id;
  bool close;
  size_t size;
  size_t written;
  uint8_t data[];
};

struct process {
  struct process *next;
  struct agent *agent;
  struct session *session;
  /** Freed once the present events are served: whoever still holds a pointer must leave it alone. */
  struct grave grave;
  bool freed;
  int64_t handle;
  /** 0 until the task has started it. */
  pid_t pid;
  bool running;
  bool timed_out;
  bool ends_with_exit;
  int64_t how;
  int64_t code;

  int64_t timeout_ms;
  struct timer deadline;
  struct stream streams[2];

  struct watch stdin_watch;
  bool stdin_keep;
  struct stdin_chunk *stdin_first;
  struct stdin_chunk *stdin_last;
  size_t stdin_bytes;
  size_t stdin_chunks;

  bool closing;
  int64_t close_request;
  struct timer grace;
};

/** What the I/O process must know of a process before a task starts it. */
struct process_plan {
  int64_t handle;
  /** Credit that each output starts with. */
  int64_t window;
  int64_t timeout_ms;
  bool stdin_open;
  struct bytes stdin_data;
  /** Its output ends with it, whoever else has the pipe. */
  bool ends_with_exit;
};

struct process *process_find(const struct agent *agent, const struct session *session, int64_t handle);
/** Registers a command that a task is asked to start. NULL without memory. */
struct process *process_create(struct session *session, const struct process_plan *plan);
/** The task has started it; takes over the descriptors (-1: none). False when `pid` is no child of ours. */
bool process_started(struct process *process, pid_t pid, int stdout_fd, int stderr_fd, int stdin_fd);
/** It never started, or nobody is interested any more. Kills it if it runs; frees it when it is reaped. */
void process_discard(struct process *process);
void processes_of_session_ended(struct session *session);
/** The agent ends: kills and frees every command. */
void processes_abandon(struct agent *agent);
/** It has been reaped: `how` and `code` as in EXIT. */
void process_ended(struct process *process, int64_t how, int64_t code);
/** Signals its group, or itself where it leads none. */
void process_kill(const struct process *process, int number);
/** Forgets it; nothing happens when that was done before. */
void process_free(struct process *process);
/** A handle whose story has been told to the end frees itself. */
void process_free_when_done(struct process *process);

/** In process_request.c. */
void process_signal(struct session *session, const struct frame_head *head, const struct proc_signal_fields *request);
void process_stdin(struct session *session, const struct frame_head *head, const struct proc_stdin_fields *request);
void process_status(struct session *session, const struct frame_head *head, const struct proc_status_fields *request);
void process_close(struct session *session, const struct frame_head *head, const struct proc_close_fields *request);
/** Gives up a PROC_STDIN or PROC_CLOSE that waits. */
bool process_cancel(struct session *session, int64_t request_id);

#endif
