#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "messages.h"
#include "network.h"
#include "output.h"
#include "parking.h"
#include "power.h"
#include "process.h"
#include "rehearsal.h"
#include "session.h"
#include "worker.h"

/** What the I/O process answers by itself: it never waits and does nothing on a test's behalf. */

static int64_t count_fds(const struct agent *agent, const char *process) {
  char path[32];
  if (agent->proc_fd < 0) return -1;
  snprintf(path, sizeof path, "%s/fd", process);
  int fd = openat(agent->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  DIR *directory = fdopendir(fd);
  if (directory == NULL) {
    close(fd);
    return -1;
  }
  int64_t count = 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count - 2;
}

static int64_t resident_bytes(const struct agent *agent) {
  char text[128] = {0};
  long long pages = -1;
  if (agent->proc_fd < 0) return -1;
  int fd = openat(agent->proc_fd, "self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (read(fd, text, sizeof text - 1) > 0 && sscanf(text, "%*s %lld", &pages) != 1) pages = -1;
  close(fd);
  return pages < 0 ? -1 : pages * sysconf(_SC_PAGESIZE);
}

static void state(struct session *session, const struct frame_head *head) {
  const struct agent *agent = session->agent;
  const struct actor *task = agent->main_task;
  char task_name[16];
  struct state_reply reply = {.task_fds = -1, .rss_bytes = resident_bytes(agent)};
  for (const struct actor *actor = agent->actors; actor != NULL; actor = actor->next) {
    reply.tasks += actor->pid > 0;
    reply.queued_bytes += (int64_t)actor->queued_bytes;
  }
  for (const struct process *process = agent->processes; process != NULL; process = process->next) reply.processes++;
  for (const struct session *one = agent->sessions; one != NULL; one = one->next) {
    reply.queued_bytes += (int64_t)session_queued(one);
  }
  snprintf(task_name, sizeof task_name, "%d", (int)task->pid);
  if (task->pid > 0) reply.task_fds = count_fds(agent, task_name);
  reply.io_fds = count_fds(agent, "self");
  /* The descriptor that counted itself. */
  if (reply.io_fds > 0) reply.io_fds--;
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &state_reply_shape, &reply);
}

static void cancel(struct session *session, const struct frame_head *head) {
  for (struct actor *actor = session->agent->actors; actor != NULL; actor = actor->next) {
    if (actor_cancel(actor, session, head->request_id)) return;
  }
  process_cancel(session, head->request_id);
  network_cancel(session, head->request_id);
}

/** Fields of every request that the I/O process serves. */
union fields {
  struct shutdown_fields shutdown;
  struct echo_fields echo;
  struct credit_fields credit;
  struct proc_signal_fields signal;
  struct proc_stdin_fields stdin_data;
  struct proc_status_fields status;
  struct proc_close_fields close;
  struct sync_fields sync;
  struct worker_end_fields worker_end;
  struct net_setup_fields net_setup;
  struct net_hosts_fields net_hosts;
  struct resume_fields resume;
};

void service_request(struct session *session, const struct message *message, const struct frame_head *head,
                     struct bytes payload) {
  union fields fields;
  const char *field = NULL;
  if (!message_decode(&message->fields, payload, &fields, &field)) {
    session_refuse(session, head->actor, head->request_id, 0, message->name,
                   "field `%s` is missing or of a wrong type", field);
    return;
  }
  switch (message->kind) {
    case MESSAGE_ECHO: {
      struct echo_reply reply = {.data = fields.echo.data};
      session_push(session, MESSAGE_OK, head->actor, head->request_id, &echo_reply_shape, &reply);
      break;
    }
    case MESSAGE_STATE:
      state(session, head);
      break;
    case MESSAGE_CANCEL:
      cancel(session, head);
      break;
    case MESSAGE_SHUTDOWN:
      session_send_ready(session, head->request_id);
      power_down(session, fields.shutdown.sync_ms);
      break;
    case MESSAGE_PARK:
      park(session, head);
      break;
    case MESSAGE_REHEARSE:
      rehearse(session, head);
      break;
    case MESSAGE_RESUME:
      resume(session, head, &fields.resume);
      break;
    case MESSAGE_CREDIT:
      process_credit(session, &fields.credit);
      break;
    case MESSAGE_PROC_SIGNAL:
      process_signal(session, head, &fields.signal);
      break;
    case MESSAGE_PROC_STDIN:
      process_stdin(session, head, &fields.stdin_data);
      break;
    case MESSAGE_PROC_STATUS:
      process_status(session, head, &fields.status);
      break;
    case MESSAGE_PROC_CLOSE:
      process_close(session, head, &fields.close);
      break;
    case MESSAGE_WORKER_END:
      worker_end_request(session, head, &fields.worker_end);
      break;
    case MESSAGE_NET_SETUP:
      network_setup(session, head, &fields.net_setup);
      break;
    case MESSAGE_NET_HOSTS:
      network_hosts(session, head, &fields.net_hosts);
      break;
    default:
      session_refuse(session, head->actor, head->request_id, 0, message->name, "only a serial port is synchronised");
  }
}
