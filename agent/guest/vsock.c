#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels.h"
#include "listener.h"
#include "pseudofs.h"

#define MILLISECOND ((int64_t)1000000)
#define FIRST_RETRY (20 * MILLISECOND)
#define LAST_RETRY (1000 * MILLISECOND)

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

struct vsock {
  struct listener listener;
  struct timer retry;
  int64_t delay_ns;
  uint32_t port;
  int sys_fd;
};

static bool try_listen(struct vsock *vsock) {
  struct vsock_address address = {.family = AF_VSOCK, .cid = ANY_CID, .port = vsock->port == 0 ? ANY_PORT : vsock->port};
  struct sockaddr *generic = (struct sockaddr *)(void *)&address;
  socklen_t size = sizeof address;
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  if (bind(fd, generic, sizeof address) < 0 || getsockname(fd, generic, &size) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return false;
  }
  if (!listener_serve(&vsock->listener, fd)) return false;
  vsock->port = address.port;
  return true;
}

/**
 * The address family announces itself as a device. Asking socket(2) instead would make the kernel call modprobe
 * each time and the agent wait for it, in every guest that has no vsock.
 */
static bool has_family(struct vsock *vsock) {
  if (vsock->sys_fd < 0) vsock->sys_fd = pseudofs_open(&pseudofs_sys);
  return vsock->sys_fd < 0 || faccessat(vsock->sys_fd, "class/misc/vsock", F_OK, 0) == 0;
}

static void retry(void *context) {
  struct vsock *vsock = context;
  if (has_family(vsock) && try_listen(vsock)) {
    if (vsock->sys_fd >= 0) close(vsock->sys_fd);
    vsock->sys_fd = -1;
    return;
  }
  loop_arm(&vsock->listener.agent->loop, &vsock->retry, vsock->delay_ns);
  if (vsock->delay_ns < LAST_RETRY) vsock->delay_ns *= 2;
}

static struct vsock *vsock_create(struct agent *agent, uint32_t port) {
  struct vsock *vsock = calloc(1, sizeof *vsock);
  if (vsock == NULL) return NULL;
  *vsock = (struct vsock){.port = port, .delay_ns = FIRST_RETRY, .sys_fd = -1};
  listener_init(&vsock->listener, agent);
  vsock->retry = (struct timer){.expired = retry, .context = vsock};
  return vsock;
}

bool vsock_listen(struct agent *agent, uint32_t port) {
  struct vsock *vsock = vsock_create(agent, port);
  if (vsock == NULL) return false;
  retry(vsock);
  return true;
}

int64_t vsock_listen_now(struct agent *agent, uint32_t port) {
  struct vsock *vsock = vsock_create(agent, port);
  if (vsock == NULL) return -1;
  if (try_listen(vsock)) return vsock->port;
  free(vsock);
  return -1;
}
