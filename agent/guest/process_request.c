#include <errno.h>
#include <signal.h>
#include <string.h>

#include "messages.h"
#include "process.h"
#include "session.h"
#include "stdin.h"

/** What the host asks about a process that runs: answered by the I/O process, whatever the task is doing. */

#define MILLISECOND ((int64_t)1000000)

static struct process *find_or_refuse(struct session *session, const struct frame_head *head, int64_t handle,
                                      int error, const char *operation) {
  struct process *process = process_find(session->agent, session, handle);
  if (process == NULL) {
    session_refuse(session, head->actor, head->request_id, error, operation, "process %lld is gone", (long long)handle);
  }
  return process;
}

static void acknowledge(struct session *session, const struct frame_head *head) {
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &(struct shape){0}, NULL);
}

void process_signal(struct session *session, const struct frame_head *head, const struct proc_signal_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, ESRCH, "kill");
  if (process == NULL) return;
  bool valid = request->signal >= 0 && request->signal <= SIGRTMAX;
  int error = valid ? ESRCH : EINVAL;
  if (valid && process->running) {
    int number = (int)request->signal;
    error = kill(request->group ? -process->pid : process->pid, number) < 0 ? errno : 0;
  }
  if (error == 0) acknowledge(session, head);
  else session_refuse(session, head->actor, head->request_id, error, "kill", "%s", strerror(error));
}

void process_stdin(struct session *session, const struct frame_head *head, const struct proc_stdin_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, EPIPE, "write");
  if (process == NULL) return;
  if (!process->stdin_keep) {
    session_refuse(session, head->actor, head->request_id, EPIPE, "write", "standard input is closed");
  } else if (!stdin_queue(process, head->request_id, request->data, request->close)) {
    session_refuse(session, head->actor, head->request_id, EAGAIN, "write", "too much input is waiting");
  } else {
    stdin_push(process);
  }
}

void process_status(struct session *session, const struct frame_head *head, const struct proc_status_fields *request) {
  struct process *process = find_or_refuse(session, head, request->process, ESRCH, "status");
  if (process == NULL) return;
  struct proc_status_reply reply = {.pid = process->pid, .running = process->running || process->pid == 0,
                                    .how = process->how, .code = process->code};
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &proc_status_reply_shape, &reply);
}

void process_close(struct session *session, const struct frame_head *head, const struct proc_close_fields *request) {
  struct process *process = process_find(session->agent, session, request->process);
  if (process == NULL) {
    acknowledge(session, head);
    return;
  }
  if (process->pid == 0 || process->closing) {
    session_refuse(session, head->actor, head->request_id, EBUSY, "close", "the process is %s",
                   process->closing ? "being closed" : "being started");
    return;
  }
  if (!process->running) {
    process_free(process);
    acknowledge(session, head);
    return;
  }
  process->closing = true;
  process->close_request = head->request_id;
  process_kill(process, request->grace_ms > 0 ? SIGTERM : SIGKILL);
  if (request->grace_ms > 0) {
    int64_t grace = request->grace_ms < 3600000 ? request->grace_ms : 3600000;
    loop_arm(&process->agent->loop, &process->grace, grace * MILLISECOND);
  }
}

bool process_cancel(struct session *session, int64_t request_id) {
  for (struct process *process = session->agent->processes; process != NULL; process = process->next) {
    if (process->session != session) continue;
    if (stdin_cancel(process, request_id)) return true;
    if (process->closing && process->close_request == request_id) {
      process->closing = false;
      session_refuse(session, ACTOR_IO, request_id, ECANCELED, "close", "canceled");
      return true;
    }
  }
  return false;
}
