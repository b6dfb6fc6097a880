#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bigendian.h"
#include "connection.h"

/** Answers to a client, in the order in which they were ready. */

#define MAX_IOVECS 32

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

static void write_head(struct request *request) {
  uint8_t *head = request->data - NBD_REPLY_SIZE;
  store_be(head, NBD_REPLY_MAGIC, 4);
  store_be(head + 4, request->error == 0 ? 0 : nbd_error(request->error), 4);
  store_be(head + 8, request->cookie, 8);
}

/** Its data waits in the image, or in the conduit. */
static bool is_piped(const struct request *request) { return request->piped && request->operation == OPERATION_READ; }

/** Loads the data of the first answer while nothing of it has left, so that what cannot be read can still be told. */
static void load(struct connection *connection) {
  struct request *request = connection->first;
  if (request == NULL || !is_piped(request) || connection->sent > 0 || connection->conduit.held > 0) return;
  if (conduit_load(&connection->conduit, request->disk->image.fd, request->offset, request->length) == 0) return;
  request->piped = false;
  request_read(request);
  write_head(request);
}

/** Sends once: greeting and answers from memory, or what the conduit holds. As sendmsg(2). */
static ssize_t send_some(struct connection *connection) {
  struct iovec parts[MAX_IOVECS];
  struct msghdr message = {.msg_iov = parts};
  struct buffer *greeting = &connection->negotiation.out;
  if (connection->sent >= NBD_REPLY_SIZE && is_piped(connection->first))
    return conduit_send(&connection->conduit, connection->watch.fd);
  if (buffer_length(greeting) > 0)
    parts[message.msg_iovlen++] = (struct iovec){buffer_begin(greeting), buffer_length(greeting)};
  size_t skip = connection->sent;
  for (struct request *request = connection->first; request != NULL && message.msg_iovlen < MAX_IOVECS;
       request = request->next) {
    uint8_t *head = request->data - NBD_REPLY_SIZE;
    bool piped = is_piped(request);
    if (piped && request != connection->first) break;
    parts[message.msg_iovlen++] =
        (struct iovec){head + skip, (piped ? NBD_REPLY_SIZE : answer_size(request)) - skip};
    if (piped) break;
    skip = 0;
  }
  return sendmsg(connection->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool outgoing_flush(struct connection *connection) {
  while (buffer_length(&connection->negotiation.out) > 0 || connection->first != NULL) {
    load(connection);
    size_t greeting = buffer_length(&connection->negotiation.out);
    ssize_t n = send_some(connection);
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

void outgoing_answer(struct request *request) {
  struct connection *connection = request->owner;
  write_head(request);
  request->next = NULL;
  if (connection->last == NULL) connection->first = request;
  else connection->last->next = request;
  connection->last = request;
  if (connection->serving) return;
  connection->blocked = true;
  connection_rearm(connection);
}

void outgoing_refuse(struct connection *connection, uint64_t cookie, int error) {
  struct request *request = request_new(connection->disk, OPERATION_FLUSH, 0, 0);
  if (request == NULL) {
    connection->leaving = true;
    return;
  }
  request->owner = connection;
  request->cookie = cookie;
  request->error = error;
  connection->pending++;
  outgoing_answer(request);
}
