#include "request.h"

#include <errno.h>
#include <string.h>

#include "messages.h"
#include "process.h"
#include "session.h"
#include "worker.h"

static void refuse_undecoded(struct session *session, const struct frame_head *head, const struct message *message,
                             const char *field) {
  session_refuse(session, head->actor, head->request_id, 0, message->name, "field `%s` is missing or of a wrong type",
                 field);
}

/** The task that a request is for, if it can serve one. */
static struct actor *task_of(const struct session *session, const struct frame_head *head) {
  struct actor *actor = actor_find(session->agent, session, head->actor);
  return actor == NULL || actor->spawning || actor->gone || actor->ending ? NULL : actor;
}

static void refuse_actor(struct session *session, const struct frame_head *head, const struct message *message) {
  char text[96];
  const struct actor *actor = actor_find(session->agent, session, head->actor);
  if (actor == NULL) {
    session_refuse(session, head->actor, head->request_id, 0, message->name, "no task is actor %lld",
                   (long long)head->actor);
  } else if (actor->gone) {
    actor_describe_end(actor, actor->how, actor->code, text, sizeof text);
    session_refuse(session, head->actor, head->request_id, ESRCH, message->name, "%s", text);
  } else {
    session_refuse(session, head->actor, head->request_id, ESRCH, message->name, "worker %lld is being %s",
                   (long long)actor->id, actor->ending ? "ended" : "made");
  }
}

const struct message *request_check(struct session *session, const struct frame_head *head) {
  const struct message *message = message_of_kind(message_table, message_table_size, head->kind);
  if (message == NULL || message->served == SERVED_BY_HOST) {
    session_refuse(session, head->actor, head->request_id, 0, "frame", "no request has kind %lld",
                   (long long)head->kind);
    return NULL;
  }
  if (message->served == SERVED_BY_TASK && task_of(session, head) == NULL) {
    refuse_actor(session, head, message);
    return NULL;
  }
  return message;
}

struct call *request_create(struct session *session, const struct message *message, const struct frame_head *head,
                                size_t size) {
  struct call *call = call_create(task_of(session, head), size);
  if (call == NULL) {
    session_refuse(session, head->actor, head->request_id, EAGAIN, message->name,
                   "too many requests of this actor are waiting");
    return NULL;
  }
  call->session = session;
  call->message = message;
  call->request_id = head->request_id;
  call->payload_offset = head->payload_offset;
  return call;
}

/** Fields of every request that starts a process. */
union starting_fields {
  struct proc_start_fields command;
  struct tail_start_fields tail;
  struct fd_stream_start_fields stream;
  struct syscall_start_fields call;
};

static bool starts_process(const struct message *message) {
  return message->kind == MESSAGE_PROC_START || message->kind == MESSAGE_TAIL_START ||
         message->kind == MESSAGE_FD_STREAM_START || message->kind == MESSAGE_SYSCALL_START;
}

/** What the request says about its process; false with the name of the field that does not fit. */
static bool read_plan(const struct call *call, struct process_plan *plan, const char **field) {
  union starting_fields fields;
  struct bytes payload = {.data = call_body(call) + call->payload_offset, .size = call->size - call->payload_offset};
  if (!message_decode(&call->message->fields, payload, &fields, field)) return false;
  switch (call->message->kind) {
    case MESSAGE_PROC_START:
      *plan = (struct process_plan){.handle = fields.command.process, .window = fields.command.window,
                                    .timeout_ms = fields.command.timeout_ms, .stdin_open = fields.command.stdin_open,
                                    .stdin_data = fields.command.stdin};
      break;
    case MESSAGE_TAIL_START:
      *plan = (struct process_plan){.handle = fields.tail.process, .window = fields.tail.window};
      break;
    case MESSAGE_SYSCALL_START:
      *plan = (struct process_plan){.handle = fields.call.process, .window = fields.call.window, .ends_with_exit = true};
      break;
    default:
      *plan = (struct process_plan){.handle = fields.stream.process, .window = fields.stream.window};
      break;
  }
  return true;
}

/** Registers the process that the request starts. False after refusing it. */
static bool plan_process(struct session *session, const struct frame_head *head, struct call *call) {
  struct process_plan plan;
  const char *field = NULL;
  if (!read_plan(call, &plan, &field)) {
    refuse_undecoded(session, head, call->message, field);
    return false;
  }
  if (plan.window < 0 || plan.timeout_ms < 0 || process_find(session->agent, session, plan.handle) != NULL) {
    session_refuse(session, head->actor, head->request_id, 0, call->message->name,
                   "a negative `window` or `timeout_ms`, or a `process` that is in use");
    return false;
  }
  call->process = process_create(session, &plan);
  if (call->process != NULL) return true;
  session_refuse(session, head->actor, head->request_id, ENOMEM, call->message->name, "no memory");
  return false;
}

/** Registers the worker that the request makes. False after refusing it. */
static bool plan_worker(struct session *session, const struct frame_head *head, struct call *call) {
  struct spawn_worker_fields request;
  const char *field = NULL;
  struct bytes payload = {.data = call_body(call) + call->payload_offset, .size = call->size - call->payload_offset};
  if (!message_decode(&spawn_worker_fields_shape, payload, &request, &field)) {
    refuse_undecoded(session, head, call->message, field);
    return false;
  }
  if (request.worker <= ACTOR_MAIN || actor_find(session->agent, session, request.worker) != NULL) {
    session_refuse(session, head->actor, head->request_id, 0, call->message->name,
                   "worker %lld is in use or no number of a worker", (long long)request.worker);
    return false;
  }
  call->worker = worker_create(session, request.worker, request.thread);
  if (call->worker != NULL) return true;
  int error = errno;
  session_refuse(session, head->actor, head->request_id, error, call->message->name, "%s", strerror(error));
  return false;
}

/** The main task was superseded while the body arrived: the request goes to the fresh one. NULL after refusing it. */
static struct call *follow_task(struct session *session, struct call *call, struct actor *task) {
  struct call *moved = call_move(call, task);
  if (moved != NULL) return moved;
  session_refuse(session, task->id, call->request_id, EAGAIN, call->message->name, "no memory");
  call_free(call);
  return NULL;
}

void request_submit(struct session *session, const struct frame_head *head, struct call *call) {
  bool planned = true;
  struct actor *task = task_of(session, head);
  if (task != NULL && task != call->actor) call = follow_task(session, call, task);
  if (call == NULL) return;
  if (task == NULL) {
    refuse_actor(session, head, call->message);
    planned = false;
  } else if (starts_process(call->message)) {
    planned = plan_process(session, head, call);
  } else if (call->message->kind == MESSAGE_SPAWN_WORKER) {
    planned = plan_worker(session, head, call);
  }
  if (planned) actor_submit(call->actor, call);
  else call_free(call);
}
