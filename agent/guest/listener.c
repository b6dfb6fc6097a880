#include "listener.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

static void accept_all(void *context, uint32_t events) {
  struct listener *listener = context;
  (void)events;
  for (;;) {
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) session_open(listener->agent, fd, false);
    else if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

void listener_init(struct listener *listener, struct agent *agent) {
  *listener = (struct listener){.agent = agent};
  listener->watch = (struct watch){.fd = -1, .ready = accept_all, .context = listener};
}

bool listener_serve(struct listener *listener, int fd) {
  if (listen(fd, LISTENER_BACKLOG) == 0 && loop_watch(&listener->agent->loop, &listener->watch, fd, EPOLLIN)) return true;
  int error = errno;
  close(fd);
  listener->watch.fd = -1;
  errno = error;
  return false;
}
