#include "listener.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

/** How long nothing is accepted when there is no room for a connection. */
#define PAUSE ((int64_t)50 * 1000 * 1000)

/** A connection that cannot be accepted stays an event: without a pause the agent would go round and round. */
static void pause_accepting(struct listener *listener) {
  loop_rearm(&listener->agent->loop, &listener->watch, 0);
  loop_arm(&listener->agent->loop, &listener->pause, PAUSE);
}

static void accept_again(void *context) {
  struct listener *listener = context;
  loop_rearm(&listener->agent->loop, &listener->watch, EPOLLIN);
}

static void accept_all(void *context, uint32_t events) {
  struct listener *listener = context;
  (void)events;
  for (;;) {
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      struct session *session = session_open(listener->agent, fd, false);
      if (session != NULL) session->resumable = true;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      if (errno != EAGAIN) pause_accepting(listener);
      return;
    }
  }
}

void listener_init(struct listener *listener, struct agent *agent) {
  *listener = (struct listener){.agent = agent};
  listener->watch = (struct watch){.fd = -1, .ready = accept_all, .context = listener};
  listener->pause = (struct timer){.expired = accept_again, .context = listener};
}

bool listener_serve(struct listener *listener, int fd) {
  if (listen(fd, LISTENER_BACKLOG) == 0 && loop_watch(&listener->agent->loop, &listener->watch, fd, EPOLLIN)) {
    listener->next = listener->agent->listeners;
    listener->agent->listeners = listener;
    return true;
  }
  int error = errno;
  close(fd);
  listener->watch.fd = -1;
  errno = error;
  return false;
}

void listeners_end(struct agent *agent) {
  while (agent->listeners != NULL) {
    struct listener *listener = agent->listeners;
    agent->listeners = listener->next;
    loop_disarm(&agent->loop, &listener->pause);
    loop_close(&agent->loop, &listener->watch);
    free(listener);
  }
}
