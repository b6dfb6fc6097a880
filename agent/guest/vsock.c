#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels.h"
#include "pseudofs.h"
#include "session.h"

#define MILLISECOND ((int64_t)1000000)
#define FIRST_RETRY (20 * MILLISECOND)
#define LAST_RETRY (1000 * MILLISECOND)
#define BACKLOG 128

/** As in linux/vm_sockets.h, which musl does not have. */
#define ANY_CID UINT32_MAX
#define ANY_PORT UINT32_MAX
struct vsock_address {
  sa_family_t family;
  unsigned short reserved;
  unsigned int port;
  unsigned int cid;
  unsigned char zero[sizeof(struct sockaddr) - sizeof(sa_family_t) - sizeof(unsigned short) - 2 * sizeof(unsigned int)];
};

struct listener {
  struct agent *agent;
  struct watch watch;
  struct timer retry;
  int64_t delay_ns;
  uint32_t port;
  int sys_fd;
};

static void accept_all(void *context, uint32_t events) {
  struct listener *listener = context;
  (void)events;
  for (;;) {
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) session_open(listener->agent, fd, false);
    else if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

static bool try_listen(struct listener *listener) {
  struct vsock_address address = {.family = AF_VSOCK, .cid = ANY_CID, .port = listener->port == 0 ? ANY_PORT : listener->port};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  struct sockaddr *generic = (struct sockaddr *)(void *)&address;
  socklen_t size = sizeof address;
  if (bind(fd, generic, sizeof address) == 0 && listen(fd, BACKLOG) == 0 && getsockname(fd, generic, &size) == 0 &&
      loop_watch(&listener->agent->loop, &listener->watch, fd, EPOLLIN)) {
    listener->port = address.port;
    return true;
  }
  int error = errno;
  close(fd);
  listener->watch.fd = -1;
  errno = error;
  return false;
}

/**
 * The address family announces itself as a device. Asking socket(2) instead would make the kernel call modprobe
 * each time and the agent wait for it, in every guest that has no vsock.
 */
static bool has_family(struct listener *listener) {
  if (listener->sys_fd < 0) listener->sys_fd = pseudofs_open(&pseudofs_sys);
  return listener->sys_fd < 0 || faccessat(listener->sys_fd, "class/misc/vsock", F_OK, 0) == 0;
}

static void retry(void *context) {
  struct listener *listener = context;
  if (has_family(listener) && try_listen(listener)) {
    if (listener->sys_fd >= 0) close(listener->sys_fd);
    listener->sys_fd = -1;
    return;
  }
  loop_arm(&listener->agent->loop, &listener->retry, listener->delay_ns);
  if (listener->delay_ns < LAST_RETRY) listener->delay_ns *= 2;
}

static struct listener *listener_create(struct agent *agent, uint32_t port) {
  struct listener *listener = calloc(1, sizeof *listener);
  if (listener == NULL) return NULL;
  *listener = (struct listener){.agent = agent, .port = port, .delay_ns = FIRST_RETRY, .sys_fd = -1};
  listener->watch = (struct watch){.fd = -1, .ready = accept_all, .context = listener};
  listener->retry = (struct timer){.expired = retry, .context = listener};
  return listener;
}

bool vsock_listen(struct agent *agent, uint32_t port) {
  struct listener *listener = listener_create(agent, port);
  if (listener == NULL) return false;
  retry(listener);
  return true;
}

int64_t vsock_listen_now(struct agent *agent, uint32_t port) {
  struct listener *listener = listener_create(agent, port);
  if (listener == NULL) return -1;
  if (try_listen(listener)) return listener->port;
  free(listener);
  return -1;
}
