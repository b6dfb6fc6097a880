#include "connection.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>

/** A client that breaks the protocol loses its connection, nothing else. */

#define INPUT_SIZE ((size_t)16 * 1024)
/** With so much under way, or so many, nothing more is read. */
#define PENDING_BYTES ((size_t)64 * 1024 * 1024)
#define PENDING_REQUESTS 256
/** Reads in a row before others get their turn. */
#define READ_TURNS 16

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
  conduit_close(&connection->conduit);
  buffer_free(&connection->in);
  buffer_free(&connection->negotiation.out);
  /* A machine that goes without a flush has lost its power. */
  if (disk->connections == NULL) disk_lose(disk);
  loop_bury(&disk->loop, &connection->grave, connection);
}

void connections_close(struct disk *disk) {
  while (disk->connections != NULL) connection_close(disk->connections);
}

bool connection_full(const struct connection *connection) {
  return connection->pending >= PENDING_REQUESTS || connection->pending_bytes >= PENDING_BYTES;
}

void connection_rearm(struct connection *connection) {
  uint32_t events = 0;
  if (!connection_full(connection) && !connection->leaving) events |= EPOLLIN;
  if (connection->blocked) events |= EPOLLOUT;
  if (events == connection->events) return;
  connection->events = events;
  loop_rearm(&connection->disk->loop, &connection->watch, events);
}

/** Serves what has been read. What must wait for room is served once answers have left, however that comes. */
static bool serve(struct connection *connection) {
  for (;;) {
    if (!incoming_serve(connection)) return false;
    if (!connection_full(connection)) return true;
    if (!outgoing_flush(connection)) return false;
    if (connection_full(connection)) return true;
  }
}

static void ready(void *context, uint32_t events) {
  struct connection *connection = context;
  bool alive = true;
  connection->serving = true;
  if ((events & EPOLLOUT) != 0) alive = outgoing_flush(connection) && serve(connection);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    for (int turn = 0; turn < READ_TURNS && alive && !connection->leaving && !connection_full(connection); turn++) {
      int step = incoming_pull(connection);
      if (step == 0) break;
      alive = step > 0 && serve(connection);
    }
    /* Nobody is there to be answered. */
    if ((events & EPOLLIN) == 0 && (connection->leaving || connection_full(connection))) alive = false;
  }
  if (alive) alive = outgoing_flush(connection);
  connection->serving = false;
  if (alive) connection_rearm(connection);
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
  conduit_open(&connection->conduit);
  connection->next = disk->connections;
  disk->connections = connection;
  if (!outgoing_flush(connection)) connection_close(connection);
  else connection_rearm(connection);
  return true;
out:
  if (connection != NULL) {
    buffer_free(&connection->in);
    buffer_free(&connection->negotiation.out);
  }
  free(connection);
  return false;
}
