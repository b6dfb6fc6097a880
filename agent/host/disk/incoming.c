#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "bigendian.h"
#include "connection.h"

/** What a client sends: first the negotiation, then requests and the data of writes. All of it is checked. */

/** Shorter ones are copied sooner than their pages are handed on. */
#define PIPED_LEAST ((uint32_t)64 * 1024)

/** Whether the data of such a request may go around our memory: nothing wants to see it on its way. */
static bool may_be_piped(const struct connection *connection, enum operation operation, uint64_t offset,
                         uint32_t length) {
  const struct disk *disk = connection->disk;
  if (length < PIPED_LEAST || disk->image.daemon > 0) return false;
  if (disk->faults.rules != NULL || write_log_runs(&disk->log)) return false;
  if (operation == OPERATION_READ) return conduit_fits(&connection->conduit, offset, length);
  /* Where a flush still has something to store, what is newer must be known. */
  return operation == OPERATION_WRITE && disk->lost == NULL && conduit_fits(&connection->conduit, 0, PIPED_LEAST);
}

static void submit(struct connection *connection, struct request *request) {
  request->owner = connection;
  request->done = outgoing_answer;
  connection->pending++;
  connection->pending_bytes += request->length;
  request_submit(request);
}

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
    outgoing_refuse(connection, cookie, error);
    return 1;
  }
  struct request *request = request_new(disk, operation, offset, operation == OPERATION_FLUSH ? 0 : length);
  if (request == NULL && operation == OPERATION_WRITE) return -1;
  if (request == NULL) {
    outgoing_refuse(connection, cookie, ENOMEM);
    return 1;
  }
  request->cookie = cookie;
  request->fua = (flags & NBD_COMMAND_FUA) != 0;
  request->punch = (flags & NBD_COMMAND_NO_HOLE) == 0;
  request->error = error;
  request->piped = error == 0 && may_be_piped(connection, operation, offset, length);
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
  if (request->piped) {
    /* Whole sectors, so that a client that goes leaves no half of one. */
    size -= size % SECTOR_SIZE;
    request_store(request, connection->filled, buffer_begin(&connection->in), size);
  } else memcpy(request->data + connection->filled, buffer_begin(&connection->in), size);
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
    outgoing_refuse(connection, cookie, error);
  }
  return 1;
}

bool incoming_serve(struct connection *connection) {
  int step = 1;
  while (step == 1 && !connection->leaving && !connection_full(connection)) {
    if (!connection->negotiation.done) step = negotiate(connection);
    else if (connection->incoming != NULL) step = fill(connection);
    else step = begin(connection);
  }
  return step >= 0;
}

/** Puts what waits at the socket of a piped write into the image. 1: something came; 0: no whole sector is there. */
static int divert(struct connection *connection) {
  struct request *request = connection->incoming;
  struct disk *disk = connection->disk;
  size_t wanted = request->length - connection->filled;
  int waiting = 0;
  if (request->error != 0 || write_log_runs(&disk->log) || buffer_length(&connection->in) > 0) return 0;
  /* An answer that waits for its reader may be in there. */
  if (connection->conduit.held > 0 || !conduit_fits(&connection->conduit, 0, SECTOR_SIZE)) return 0;
  if (ioctl(connection->watch.fd, FIONREAD, &waiting) < 0 || waiting < SECTOR_SIZE) return 0;
  size_t size = (size_t)waiting < wanted ? (size_t)waiting - (size_t)waiting % SECTOR_SIZE : wanted;
  size_t taken = 0;
  uint64_t offset = request->offset + connection->filled;
  int error = disk_check(disk, OPERATION_WRITE, offset, size);
  if (error == 0)
    error = request_told(
        request, conduit_store(&connection->conduit, connection->watch.fd, disk->image.fd, offset, size, &taken));
  request->error = error;
  connection->filled += taken;
  return taken > 0 || error != 0;
}

/** The rest of an incoming write goes to where it belongs, and what follows it into the buffer. */
int incoming_pull(struct connection *connection) {
  struct request *request = connection->incoming;
  struct iovec parts[2];
  int count = 0;
  bool piped = request != NULL && request->piped;
  if (piped && divert(connection) == 1) return 1;
  size_t wanted = request == NULL || piped ? 0 : request->length - connection->filled;
  if (wanted > 0) parts[count++] = (struct iovec){request->data + connection->filled, wanted};
  buffer_compact(&connection->in);
  if (!buffer_reserve(&connection->in, 1)) return -1;
  size_t room = connection->in.capacity - connection->in.size;
  /* No more than the rest of the sector that has begun: what is behind it need not come this way. */
  if (piped && connection->in.size > 0 && connection->in.size < SECTOR_SIZE) room = SECTOR_SIZE - connection->in.size;
  parts[count++] = (struct iovec){buffer_end(&connection->in), room};
  ssize_t n = readv(connection->watch.fd, parts, count);
  if (n < 0) return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
  if (n == 0) return -1;
  size_t direct = (size_t)n < wanted ? (size_t)n : wanted;
  connection->filled += direct;
  connection->in.size += (size_t)n - direct;
  return 1;
}
