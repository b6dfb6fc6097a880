#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channels.h"
#include "listener.h"

bool unix_listen(struct agent *agent, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  errno = ENAMETOOLONG;
  if (strlen(path) >= sizeof address.sun_path) return false;
  strcpy(address.sun_path, path);
  struct listener *listener = malloc(sizeof *listener);
  int fd = listener != NULL ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
  if (fd < 0) goto out;
  if (bind(fd, (struct sockaddr *)(void *)&address, sizeof address) < 0) goto out;
  listener_init(listener, agent);
  if (listener_serve(listener, fd)) return true;
  fd = -1;
out:
  if (fd >= 0) close(fd);
  free(listener);
  return false;
}
