#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bigendian.h"
#include "image.h"
#include "nbd.h"
#include "signals.h"

/**
 * An image that QEMU's own block layer reads for us: a client of the NBD export of a qemu-storage-daemon, one
 * request at a time. What the export says about itself is believed no further than its size.
 */

#define DAEMON_SOCKET 3
#define DAEMON_MONITOR 4
/** Longest answer of the monitor that is read. */
#define ANSWER_SIZE 4096

static int send_all(int fd, const void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = send(fd, (const uint8_t *)data + done, size - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    done += (size_t)n;
  }
  return 0;
}

static int receive_all(int fd, void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = recv(fd, (uint8_t *)data + done, size - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EPIPE;
    done += (size_t)n;
  }
  return 0;
}

/** Sends a request and waits for its reply; `out` and `in` are its payload. */
static int call(struct image *image, enum nbd_command command, uint64_t offset, uint32_t length, const void *out,
                void *in) {
  uint8_t head[NBD_REQUEST_SIZE];
  uint8_t reply[NBD_REPLY_SIZE];
  store_be(head, NBD_REQUEST_MAGIC, 4);
  store_be(head + 4, 0, 2);
  store_be(head + 6, (uint64_t)command, 2);
  store_be(head + 8, ++image->cookie, 8);
  store_be(head + 16, offset, 8);
  store_be(head + 24, length, 4);
  int error = send_all(image->fd, head, sizeof head);
  if (error == 0 && out != NULL) error = send_all(image->fd, out, length);
  if (error == 0) error = receive_all(image->fd, reply, sizeof reply);
  if (error != 0) return EIO;
  if (load_be(reply, 4) != NBD_REPLY_MAGIC || load_be(reply + 8, 8) != image->cookie) return EPROTO;
  uint64_t refusal = load_be(reply + 4, 4);
  if (refusal != 0) return refusal == ENOSPC ? ENOSPC : refusal == EPERM ? EPERM : EIO;
  if (in != NULL && receive_all(image->fd, in, length) != 0) return EIO;
  return 0;
}

static int daemon_read(struct image *image, uint64_t offset, void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    uint32_t piece = size - done < NBD_MAX_PAYLOAD ? (uint32_t)(size - done) : NBD_MAX_PAYLOAD;
    int error = call(image, NBD_READ, offset + done, piece, NULL, (uint8_t *)data + done);
    if (error != 0) return error;
    done += piece;
  }
  return 0;
}

static int daemon_write(struct image *image, uint64_t offset, const void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    uint32_t piece = size - done < NBD_MAX_PAYLOAD ? (uint32_t)(size - done) : NBD_MAX_PAYLOAD;
    int error = call(image, NBD_WRITE, offset + done, piece, (const uint8_t *)data + done, NULL);
    if (error != 0) return error;
    done += piece;
  }
  return 0;
}

/** Without a payload a request may cover a gigabyte. */
static int daemon_range(struct image *image, enum nbd_command command, uint64_t offset, uint64_t size) {
  const uint64_t most = (uint64_t)1 << 30;
  for (uint64_t done = 0; done < size;) {
    uint32_t piece = (uint32_t)(size - done < most ? size - done : most);
    int error = call(image, command, offset + done, piece, NULL, NULL);
    if (error != 0) return error;
    done += piece;
  }
  return 0;
}

static int daemon_zero(struct image *image, uint64_t offset, uint64_t size, bool punch) {
  (void)punch;
  return daemon_range(image, NBD_WRITE_ZEROES, offset, size);
}

static int daemon_trim(struct image *image, uint64_t offset, uint64_t size) {
  return daemon_range(image, NBD_TRIM, offset, size);
}

static int daemon_flush(struct image *image) { return image->readonly ? 0 : call(image, NBD_FLUSH, 0, 0, NULL, NULL); }

/** Reads what the monitor says until a command has been answered and, where one is named, an event has come. */
static int monitor_answer(int fd, const char *event) {
  char line[ANSWER_SIZE];
  size_t length = 0;
  bool answered = false;
  while (!answered || event != NULL) {
    char byte = 0;
    if (receive_all(fd, &byte, 1) != 0) return EIO;
    if (byte != '\n') {
      if (length + 1 < sizeof line) line[length++] = byte;
      continue;
    }
    line[length] = '\0';
    length = 0;
    if (event != NULL && strstr(line, event) != NULL) event = NULL;
    else if (strstr(line, "\"return\"") != NULL) answered = true;
    else if (strstr(line, "\"error\"") != NULL) {
      fprintf(stderr, "qemu-storage-daemon: %s\n", line);
      return EIO;
    }
  }
  return 0;
}

static int monitor_command(int fd, const char *text, const char *event) {
  int error = send_all(fd, text, strlen(text));
  return error == 0 ? monitor_answer(fd, event) : EIO;
}

static void hang_up(struct image *image) {
  if (image->fd < 0) return;
  uint8_t head[NBD_REQUEST_SIZE] = {0};
  store_be(head, NBD_REQUEST_MAGIC, 4);
  store_be(head + 6, NBD_DISCONNECT, 2);
  send_all(image->fd, head, sizeof head);
  close(image->fd);
  image->fd = -1;
}

static int daemon_resize(struct image *image, uint64_t size);

static void daemon_close(struct image *image) {
  hang_up(image);
  close(image->monitor);
  unlink(image->address.sun_path);
  /* It flushes its image and releases the lock before it ends. */
  kill(image->daemon, SIGTERM);
  while (waitpid(image->daemon, NULL, 0) < 0 && errno == EINTR) {
  }
}

static const struct image_kind daemon_kind = {daemon_read,  daemon_write,  daemon_zero, daemon_trim,
                                              daemon_flush, daemon_resize, daemon_close};

/** The client's half of the negotiation, with the daemon's only export, which is called "disk". */
static int negotiate(struct image *image) {
  static const char name[] = "disk";
  const size_t name_size = sizeof name - 1;
  uint8_t bytes[64];
  int error = receive_all(image->fd, bytes, NBD_GREETING_SIZE);
  if (error != 0) return error;
  if (load_be(bytes, 8) != NBD_MAGIC || load_be(bytes + 8, 8) != NBD_OPTION_MAGIC) return EPROTO;
  store_be(bytes, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES, 4);
  store_be(bytes + 4, NBD_OPTION_MAGIC, 8);
  store_be(bytes + 12, NBD_OPTION_GO, 4);
  store_be(bytes + 16, 4 + name_size + 2, 4);
  store_be(bytes + 20, name_size, 4);
  memcpy(bytes + 24, name, name_size);
  store_be(bytes + 24 + name_size, 0, 2);
  error = send_all(image->fd, bytes, 26 + name_size);
  while (error == 0) {
    error = receive_all(image->fd, bytes, NBD_OPTION_REPLY_SIZE);
    if (error != 0) break;
    uint64_t type = load_be(bytes + 12, 4);
    uint64_t length = load_be(bytes + 16, 4);
    if (type == NBD_OPTION_REPLY_ACK) return image->size > 0 ? 0 : EPROTO;
    if (type != NBD_OPTION_REPLY_INFO || length > sizeof bytes) return EPROTO;
    error = receive_all(image->fd, bytes, (size_t)length);
    if (error == 0 && length == 12 && load_be(bytes, 2) == NBD_INFO_EXPORT) image->size = load_be(bytes + 2, 8);
  }
  return error;
}

/** A socket that listens at `path`. */
static int listen_at(const char *path, struct sockaddr_un *address) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
  memcpy(address->sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 && listen(fd, 2) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

static void become_daemon(pid_t parent, int listener, int monitor, char *const *argv) {
  /* One that ended before is not missed, and whose child this is then is not always process 1: prctl(2). */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) _exit(126);
  /* Above both targets first, so that neither overwrites the other. */
  int high = fcntl(listener, F_DUPFD, DAEMON_MONITOR + 1);
  if (high < 0 || dup2(monitor, DAEMON_MONITOR) < 0 || dup2(high, DAEMON_SOCKET) < 0) _exit(126);
  close(high);
  reset_signals();
  execv(argv[0], argv);
  fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

/** Connects anew: what is there now is what the export says now. */
static int connect_export(struct image *image) {
  image->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (image->fd < 0) return errno;
  if (connect(image->fd, (const struct sockaddr *)&image->address, sizeof image->address) < 0) return errno;
  return negotiate(image);
}

/** An export lets nobody resize its node, so it goes and comes back. */
static int daemon_resize(struct image *image, uint64_t size) {
  char command[160];
  hang_up(image);
  int error = monitor_command(
      image->monitor, "{\"execute\":\"block-export-del\",\"arguments\":{\"id\":\"disk\",\"mode\":\"hard\"}}\n",
      "BLOCK_EXPORT_DELETED");
  if (error != 0) return error;
  snprintf(command, sizeof command,
           "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"disk\",\"size\":%" PRIu64 "}}\n", size);
  int refusal = monitor_command(image->monitor, command, NULL);
  error = monitor_command(image->monitor,
                          "{\"execute\":\"block-export-add\",\"arguments\":{\"type\":\"nbd\",\"id\":\"disk\","
                          "\"node-name\":\"disk\",\"name\":\"disk\",\"writable\":true}}\n",
                          NULL);
  if (error == 0) error = connect_export(image);
  return refusal != 0 ? refusal : error;
}

int image_open_daemon(struct image *image, const char *path, char *const *argv, bool readonly, const char **why) {
  int monitor[2] = {-1, -1};
  *why = "cannot be given to qemu-storage-daemon";
  *image = (struct image){
      .kind = &daemon_kind, .fd = -1, .readonly = readonly, .scratch = image->scratch, .monitor = -1, .daemon = -1};
  int listener = listen_at(path, &image->address);
  int error = listener < 0 ? -listener : 0;
  if (error == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) < 0) error = errno;
  if (error != 0) goto out;
  pid_t parent = getpid();
  image->daemon = fork();
  if (image->daemon == 0) become_daemon(parent, listener, monitor[1], argv);
  if (image->daemon < 0) {
    error = errno;
    goto out;
  }
  close(monitor[1]);
  monitor[1] = -1;
  /* When the daemon ends instead of serving, nobody holds the listening socket any more and the connection breaks. */
  close(listener);
  listener = -1;
  *why = "is refused by qemu-storage-daemon";
  error = connect_export(image);
  if (error == 0) error = monitor_command(monitor[0], "{\"execute\":\"qmp_capabilities\"}\n", NULL);
  if (error == 0 && image->size % SECTOR_SIZE != 0) error = EINVAL;
  if (error == 0) {
    image->monitor = monitor[0];
    monitor[0] = -1;
  }
out:
  if (listener >= 0) close(listener);
  if (monitor[0] >= 0) close(monitor[0]);
  if (monitor[1] >= 0) close(monitor[1]);
  if (error != 0) {
    unlink(path);
    if (image->fd >= 0) close(image->fd);
    if (image->daemon > 0) {
      kill(image->daemon, SIGKILL);
      while (waitpid(image->daemon, NULL, 0) < 0 && errno == EINTR) {
      }
    }
    image->kind = NULL;
  }
  return error;
}
