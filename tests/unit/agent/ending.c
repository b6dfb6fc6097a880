/**
 * A thread that is being ended answers, and before the agent hears of it the thread's whole process is gone. Only who
 * holds the agent's loop can have both come in one turn. Fails with a line, or as the sanitizers do.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "birth.h"
#include "messages.h"
#include "process.h"
#include "session.h"
#include "worker.h"

#define WORKER 2

static void ask(int host, int64_t kind, int64_t actor, const struct shape *shape, const void *fields) {
  struct buffer frame;
  buffer_init(&frame, 4096);
  size_t start = frame_begin(&frame, kind, actor, kind);
  message_encode(shape, fields, &frame);
  frame_end(&frame, start, 0);
  if (write(host, buffer_begin(&frame), buffer_length(&frame)) < 0) perror("write");
  buffer_free(&frame);
}

static void start_command(int host) {
  uint8_t memory[64];
  struct buffer argv;
  buffer_over(&argv, memory, sizeof memory);
  msgpack_write_bytes(&argv, "true", 4);
  const struct proc_start_fields command = {
      .process = 1,
      .argv = {.data = buffer_begin(&argv), .size = buffer_length(&argv), .count = 1, .present = true},
      .env = {.present = true},
  };
  ask(host, MESSAGE_PROC_START, WORKER, &proc_start_fields_shape, &command);
}

int main(void) {
  int ends[2];
  siginfo_t ended;
  struct agent agent = {.signals = {.fd = -1}, .mounts = {.fd = -1}};
  agent.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  agent.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  signal(INTERRUPT_SIGNAL, SIG_IGN);
  if (!loop_init(&agent.loop) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) return 2;
  agent.main_task = actor_create(&agent, ACTOR_MAIN, false);
  struct session *session = agent.main_task == NULL ? NULL : session_open(&agent, ends[0], false);
  if (session == NULL) return 2;

  const struct spawn_worker_fields spawn = {.worker = WORKER, .thread = true};
  ask(ends[1], MESSAGE_SPAWN_WORKER, ACTOR_MAIN, &spawn_worker_fields_shape, &spawn);
  struct actor *thread = NULL;
  while (thread == NULL || thread->spawning) {
    loop_turn(&agent.loop, false);
    thread = actor_find(&agent, session, WORKER);
  }
  start_command(ends[1]);
  while (thread->running == NULL) loop_turn(&agent.loop, false);

  worker_discard(thread);
  struct pollfd answered = {.fd = thread->answered.fd, .events = POLLIN};
  poll(&answered, 1, -1);
  kill(agent.main_task->pid, SIGKILL);
  waitid(P_PID, (id_t)agent.main_task->pid, &ended, WEXITED | WNOWAIT);
  loop_turn(&agent.loop, false);

  bool gone = agent.actors == agent.main_task && agent.main_task->next == NULL && agent.main_task->pid == 0;
  if (!gone) puts("the agent does not know that the task and its thread are gone");
  session_close(session);
  /* The command may not have been reaped yet. */
  processes_abandon(&agent);
  actor_destroy(agent.main_task);
  loop_end(&agent.loop);
  return gone ? 0 : 1;
}
