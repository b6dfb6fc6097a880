#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bigendian.h"
#include "buffer.h"
#include "disk.h"
#include "negotiation.h"

/**
 * One client of the NBD protocol (see nbd.h): QEMU, or a test. What it sends is checked, and a client that breaks the
 * protocol loses its connection, nothing else.
 */

#define INPUT_SIZE ((size_t)128 * 1024)
/** With so much under way, or so many, nothing more is read. */
#define PENDING_BYTES ((size_t)64 * 1024 * 1024)
#define PENDING_REQUESTS 256
#define MAX_IOVECS 32
/** Reads in a row before others get their turn. */
#define READ_TURNS 16

struct connection {
  struct connection *next;
  struct disk *disk;
  struct watch watch;
  struct grave grave;
  bool blocked;
  bool closed;
  /** Its events are being served: what is answered now leaves at the end of that. */
  bool serving;
  /** The client has said goodbye: what it asked for is still answered. */
  bool leaving;
  uint32_t events;
  struct buffer in;
  struct negotiation negotiation;
  /** A write whose data is still coming, and how much of it is there. */
  struct request *incoming;
  size_t filled;
  /** Answers in the order in which they leave; the first `sent` bytes of the first one are gone. */
  struct request *first;
  struct request *last;
  size_t sent;
  size_t pending_bytes;
  int pending;
};

static void connection_close(struct connection *connection) {
  struct disk *disk = connection->disk;
  if (connection->closed) return;
  connection->closed = true;
  loop_close(&disk->loop, &connection->watch);
  requests_forget(disk, connection);
  if (connection->incoming != NULL) request_free(connection->incoming);
  while (connection->first != NULL) {
    struct request *request = connection->first;
    connection->first = request->next;
    request_free(request);
  }
  for (struct connection **at = &disk->connections; *at != NULL; at = &(*at)->next) {
    if (*at != connection) continue;
    *at = connection->next;
    break;
  }
  buffer_free(&connection->in);
  buffer_free(&connection->negotiation.out);
  /* A machine that goes without a flush has lost its power. */
  if (disk->connections == NULL) disk_lose(disk);
  loop_bury(&disk->loop, &connection->grave, connection);
}

void connections_close(struct disk *disk) {
  while (disk->connections != NULL) connection_close(disk->connections);
}

static uint64_t nbd_error(int error) {
  switch (error) {
    case EPERM:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
      return (uint64_t)error;
    default:
      return EIO;
  }
}

/** Bytes of an answer: its head, and the data of a read that succeeded. */
static size_t answer_size(const struct request *request) {
  bool data = request->operation == OPERATION_READ && request->error == 0;
  return NBD_REPLY_SIZE + (data ? request->length : 0);
}

static bool full(const struct connection *connection) {
  return connection->pending >= PENDING_REQUESTS || connection->pending_bytes >= PENDING_BYTES;
}

static void rearm(struct connection *connection) {
  uint32_t events = 0;
  if (!full(connection) && !connection->leaving) events |= EPOLLIN;
  if (connection->blocked) events |= EPOLLOUT;
  if (events == connection->events) return;
  connection->events = events;
  loop_rearm(&connection->disk->loop, &connection->watch, events);
}

static void sent(struct connection *connection, size_t size) {
  while (connection->first != NULL) {
    struct request *request = connection->first;
    size_t left = answer_size(request) - connection->sent;
    if (size < left) {
      connection->sent += size;
      return;
    }
    size -= left;
    connection->sent = 0;
    connection->first = request->next;
    if (connection->first == NULL) connection->last = NULL;
    connection->pending--;
    connection->pending_bytes -= request->length;
    request_free(request);
  }
}

/** Sends what it can. False: the client is gone. */
static bool flush_out(struct connection *connection) {
  while (buffer_length(&connection->negotiation.out) > 0 || connection->first != NULL) {
    struct iovec parts[MAX_IOVECS];
    struct msghdr message = {.msg_iov = parts};
    size_t greeting = buffer_length(&connection->negotiation.out);
    if (greeting > 0) parts[message.msg_iovlen++] = (struct iovec){buffer_begin(&connection->negotiation.out), greeting};
    size_t skip = connection->sent;
    for (struct request *request = connection->first; request != NULL && message.msg_iovlen < MAX_IOVECS;
         request = request->next) {
      uint8_t *head = request->data - NBD_REPLY_SIZE;
      parts[message.msg_iovlen++] = (struct iovec){head + skip, answer_size(request) - skip};
      skip = 0;
    }
    ssize_t n = sendmsg(connection->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      connection->blocked = true;
      return true;
    }
    if (n < 0) return false;
    size_t taken = (size_t)n < greeting ? (size_t)n : greeting;
    buffer_consume(&connection->negotiation.out, taken);
    sent(connection, (size_t)n - taken);
  }
  connection->blocked = false;
  return !connection->leaving || connection->pending > 0;
}

static void answered(struct request *request) {
  struct connection *connection = request->owner;
  uint8_t *head = request->data - NBD_REPLY_SIZE;
  store_be(head, NBD_REPLY_MAGIC, 4);
  store_be(head + 4, request->error == 0 ? 0 : nbd_error(request->error), 4);
  store_be(head + 8, request->cookie, 8);
  request->next = NULL;
  if (connection->last == NULL) connection->first = request;
  else connection->last->next = request;
  connection->last = request;
  if (connection->serving) return;
  connection->blocked = true;
  rearm(connection);
}

static void submit(struct connection *connection, struct request *request) {
  request->owner = connection;
  request->done = answered;
  connection->pending++;
  connection->pending_bytes += request->length;
  request_submit(request);
}

// --- requests -----------------------------------------------------------------------------------------------

/** Takes one step from what has arrived. 1: done; 0: more is needed; -1: this is no client. */
static int negotiate(struct connection *connection) {
  int step = negotiation_step(&connection->negotiation, &connection->in);
  if (connection->negotiation.aborted) connection->leaving = true;
  return step;
}

static bool operation_of(uint64_t type, enum operation *operation) {
  static const struct {
    enum nbd_command command;
    enum operation operation;
  } known[] = {
      {NBD_READ, OPERATION_READ},         {NBD_WRITE, OPERATION_WRITE}, {NBD_FLUSH, OPERATION_FLUSH},
      {NBD_WRITE_ZEROES, OPERATION_ZERO}, {NBD_TRIM, OPERATION_TRIM},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (known[i].command != type) continue;
    *operation = known[i].operation;
    return true;
  }
  return false;
}

static void refuse(struct connection *connection, uint64_t cookie, int error) {
  struct request *request = request_new(connection->disk, OPERATION_FLUSH, 0, 0);
  if (request == NULL) {
    connection->leaving = true;
    return;
  }
  request->owner = connection;
  request->cookie = cookie;
  request->error = error;
  connection->pending++;
  answered(request);
}

/** Begins the request whose head has arrived. As negotiate(). */
static int begin(struct connection *connection) {
  struct disk *disk = connection->disk;
  const uint8_t *head = buffer_begin(&connection->in);
  if (buffer_length(&connection->in) < NBD_REQUEST_SIZE) return 0;
  if (load_be(head, 4) != NBD_REQUEST_MAGIC) return -1;
  uint64_t flags = load_be(head + 4, 2);
  uint64_t type = load_be(head + 6, 2);
  uint64_t cookie = load_be(head + 8, 8);
  uint64_t offset = load_be(head + 16, 8);
  uint32_t length = (uint32_t)load_be(head + 24, 4);
  enum operation operation = OPERATION_FLUSH;
  if (type == NBD_DISCONNECT) {
    connection->leaving = true;
    return 1;
  }
  /* The data of such a write could not even be skipped. */
  if (type == NBD_WRITE && length > NBD_MAX_PAYLOAD) return -1;
  buffer_consume(&connection->in, NBD_REQUEST_SIZE);
  bool known = operation_of(type, &operation);
  int error = known ? disk_check(disk, operation, offset, length) : EINVAL;
  if (operation == OPERATION_READ && length > NBD_MAX_PAYLOAD) error = EINVAL;
  if (error != 0 && operation != OPERATION_WRITE) {
    refuse(connection, cookie, error);
    return 1;
  }
  struct request *request = request_new(disk, operation, offset, operation == OPERATION_FLUSH ? 0 : length);
  if (request == NULL && operation == OPERATION_WRITE) return -1;
  if (request == NULL) {
    refuse(connection, cookie, ENOMEM);
    return 1;
  }
  request->cookie = cookie;
  request->fua = (flags & NBD_COMMAND_FUA) != 0;
  request->punch = (flags & NBD_COMMAND_NO_HOLE) == 0;
  request->error = error;
  if (operation == OPERATION_WRITE && length > 0) {
    connection->incoming = request;
    connection->filled = 0;
  } else submit(connection, request);
  return 1;
}

/** Gives an incoming write what has arrived; runs it once it is whole. As negotiate(). */
static int fill(struct connection *connection) {
  struct request *request = connection->incoming;
  size_t wanted = request->length - connection->filled;
  size_t there = buffer_length(&connection->in);
  size_t size = there < wanted ? there : wanted;
  memcpy(request->data + connection->filled, buffer_begin(&connection->in), size);
  buffer_consume(&connection->in, size);
  connection->filled += size;
  if (connection->filled < request->length) return 0;
  connection->incoming = NULL;
  /* One that was refused when its head came is answered now that its data is out of the way. */
  if (request->error == 0) submit(connection, request);
  else {
    uint64_t cookie = request->cookie;
    int error = request->error;
    request_free(request);
    refuse(connection, cookie, error);
  }
  return 1;
}

static bool serve_input(struct connection *connection) {
  int step = 1;
  while (step == 1 && !connection->leaving && !full(connection)) {
    if (!connection->negotiation.done) step = negotiate(connection);
    else if (connection->incoming != NULL) step = fill(connection);
    else step = begin(connection);
  }
  return step >= 0;
}

/** Reads once: the rest of an incoming write to where it belongs, and what follows it. As negotiate(). */
static int pull(struct connection *connection) {
  struct request *request = connection->incoming;
  struct iovec parts[2];
  int count = 0;
  size_t wanted = request == NULL ? 0 : request->length - connection->filled;
  if (wanted > 0) parts[count++] = (struct iovec){request->data + connection->filled, wanted};
  buffer_compact(&connection->in);
  if (!buffer_reserve(&connection->in, 1)) return -1;
  parts[count++] = (struct iovec){buffer_end(&connection->in), connection->in.capacity - connection->in.size};
  ssize_t n = readv(connection->watch.fd, parts, count);
  if (n < 0) return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
  if (n == 0) return -1;
  size_t direct = (size_t)n < wanted ? (size_t)n : wanted;
  connection->filled += direct;
  connection->in.size += (size_t)n - direct;
  return 1;
}

static void ready(void *context, uint32_t events) {
  struct connection *connection = context;
  bool alive = true;
  connection->serving = true;
  if ((events & EPOLLOUT) != 0) {
    alive = flush_out(connection);
    /* Answers that left make room for what is in the buffer already. */
    if (alive) alive = serve_input(connection);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    for (int turn = 0; turn < READ_TURNS && alive && !connection->leaving && !full(connection); turn++) {
      int step = pull(connection);
      if (step == 0) break;
      alive = step > 0 && serve_input(connection);
    }
    /* Nobody is there to be answered. */
    if ((events & EPOLLIN) == 0 && (connection->leaving || full(connection))) alive = false;
  }
  if (alive) alive = flush_out(connection);
  connection->serving = false;
  if (alive) rearm(connection);
  else connection_close(connection);
}

bool connection_open(struct disk *disk, int fd) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) goto out;
  connection->disk = disk;
  connection->watch = (struct watch){.fd = -1, .ready = ready, .context = connection};
  buffer_init(&connection->in, INPUT_SIZE);
  negotiation_begin(&connection->negotiation, disk);
  if (!buffer_reserve(&connection->in, INPUT_SIZE)) goto out;
  connection->events = EPOLLIN;
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) goto out;
  if (!loop_watch(&disk->loop, &connection->watch, fd, EPOLLIN)) goto out;
  connection->next = disk->connections;
  disk->connections = connection;
  if (!flush_out(connection)) connection_close(connection);
  else rearm(connection);
  return true;
out:
  if (connection != NULL) {
    buffer_free(&connection->in);
    buffer_free(&connection->negotiation.out);
  }
  free(connection);
  return false;
}
