#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"
#include "gateway.h"
#include "pair.h"
#include "tap.h"

struct queued {
  uint32_t size;
  uint16_t slot;
  uint16_t padding;
};

/** Room for the records of a queue full of the smallest frames, as a power of two. */
#define RECORD_BYTES_MAX ((size_t)512 * 1024)

static void forget_queue(struct port *port) {
  ring_free(&port->queue);
  ring_free(&port->frames);
  port->written = 0;
  memset(port->queued_from, 0, sizeof port->queued_from);
}

/** The other end is gone, or has broken the framing. The port stays, silent, until the host closes it. */
static void go_down(struct port *port) {
  loop_close(&port->fabric->loop, &port->watch);
  forget_queue(port);
  port->rest_size = 0;
  learning_forget(&port->bridge->learning, port->slot);
}

/** Hands on every whole frame; false when the framing is broken. */
static bool cut_frames(struct port *port, const uint8_t *bytes, size_t size, size_t *taken) {
  size_t at = 0;
  while (size - at >= FRAME_LENGTH_BYTES) {
    size_t length = (size_t)load_be(bytes + at, FRAME_LENGTH_BYTES);
    if (length > FRAME_BYTES_MAX) return false;
    if (size - at - FRAME_LENGTH_BYTES < length) break;
    bridge_receive(port, (struct bytes){.data = bytes + at + FRAME_LENGTH_BYTES, .size = length});
    at += FRAME_LENGTH_BYTES + length;
  }
  *taken = at;
  return true;
}

static void receive(struct port *port) {
  uint8_t *bytes = port->fabric->scratch;
  size_t size = port->rest_size;
  if (size > 0) memcpy(bytes, port->rest, size);
  ssize_t came = recv(port->watch.fd, bytes + size, READ_BYTES, MSG_DONTWAIT);
  if (came < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (came <= 0) {
    go_down(port);
    return;
  }
  size += (size_t)came;
  size_t taken = 0;
  if (!cut_frames(port, bytes, size, &taken)) {
    port->counters.errors++;
    go_down(port);
    return;
  }
  port->rest_size = size - taken;
  if (port->rest_size > 0) memcpy(port->rest, bytes + taken, port->rest_size);
}

static void ready(void *context, uint32_t events) {
  struct port *port = context;
  if ((events & EPOLLOUT) != 0) {
    port->blocked = false;
    port_flush(port);
    if (!port->blocked && port->watch.fd >= 0) loop_rearm(&port->fabric->loop, &port->watch, EPOLLIN);
  }
  if (port->watch.fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0) receive(port);
}

struct port *port_open(struct bridge *bridge, int64_t id, uint16_t slot, int fd, struct bytes name) {
  struct fabric *fabric = bridge->fabric;
  struct port *port = calloc(1, sizeof *port);
  if (port == NULL) return NULL;
  port->fabric = fabric;
  port->bridge = bridge;
  port->id = id;
  port->slot = slot;
  port->name_hash = random_hash(name.data, name.size);
  port->watch = (struct watch){.fd = -1, .ready = ready, .context = port};
  if (fd < 0) return port;
  port->rest = malloc(FRAME_LENGTH_BYTES + FRAME_BYTES_MAX);
  if (port->rest == NULL || !loop_watch(&fabric->loop, &port->watch, fd, EPOLLIN)) {
    free(port->rest);
    free(port);
    return NULL;
  }
  return port;
}

static void make_clean(struct port *port) {
  if (!port->dirty) return;
  for (struct port **at = &port->fabric->dirty; *at != NULL; at = &(*at)->next_dirty) {
    if (*at != port) continue;
    *at = port->next_dirty;
    break;
  }
  port->dirty = false;
}

void port_close(struct port *port) {
  for (size_t slot = 0; slot < PORTS_MAX; slot++) {
    if (port->pairs[slot] != NULL) pair_drop(port->pairs[slot]);
  }
  make_clean(port);
  if (port->watch.fd >= 0) go_down(port);
  free(port->rest);
  port->rest = NULL;
  loop_bury(&port->fabric->loop, &port->grave, port);
}

void port_lost(struct port *port) { port->counters.errors++; }

void port_put(struct port *port, const struct port *from, struct bytes frame) {
  if (port->slot == GATEWAY_SLOT) {
    gateway_receive(port->bridge, frame);
    return;
  }
  if (port->watch.fd < 0) return;
  size_t size = FRAME_LENGTH_BYTES + frame.size;
  size_t free_bytes = PORT_QUEUE_BYTES - port->queue.length;
  if (port->queued_from[from->slot] + size > free_bytes ||
      !ring_reserve(&port->frames, sizeof(struct queued), RECORD_BYTES_MAX) ||
      !ring_reserve(&port->queue, size, PORT_QUEUE_BYTES)) {
    port_lost(port);
    return;
  }
  uint8_t prefix[FRAME_LENGTH_BYTES];
  store_be(prefix, frame.size, sizeof prefix);
  ring_append(&port->queue, prefix, sizeof prefix);
  ring_append(&port->queue, frame.data, frame.size);
  struct queued queued = {.size = (uint32_t)size, .slot = from->slot};
  ring_append(&port->frames, &queued, sizeof queued);
  port->queued_from[from->slot] += (uint32_t)size;
  port->counters.rx_bytes += (int64_t)frame.size;
  port->counters.rx_packets++;
  taps_see_leaving(port, frame);
  if (!port->dirty) {
    port->dirty = true;
    port->next_dirty = port->fabric->dirty;
    port->fabric->dirty = port;
  }
}

/** `size` more bytes of the queue are written: what they belong to is no longer held against its sender. */
static void account(struct port *port, size_t size) {
  ring_consume(&port->queue, size);
  port->written += size;
  struct queued first;
  while (port->frames.length > 0) {
    ring_peek(&port->frames, &first, sizeof first);
    if (port->written < first.size) break;
    port->written -= first.size;
    port->queued_from[first.slot] -= first.size;
    ring_consume(&port->frames, sizeof first);
  }
}

void port_flush(struct port *port) {
  struct iovec parts[2];
  while (port->watch.fd >= 0 && !port->blocked && port->queue.length > 0) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ring_parts(&port->queue, parts);
    ssize_t wrote = sendmsg(port->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (wrote >= 0) account(port, (size_t)wrote);
    else if (errno == EAGAIN) {
      port->blocked = true;
      loop_rearm(&port->fabric->loop, &port->watch, EPOLLIN | EPOLLOUT);
    } else if (errno != EINTR) go_down(port);
  }
}
