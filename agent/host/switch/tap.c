#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>

#include "bridge.h"
#include "fabric.h"

/** Headers of the file and of a packet (pcap-savefile(5)), in the byte order of this machine, as libpcap writes it. */
struct file_header {
  uint32_t magic;
  uint16_t major;
  uint16_t minor;
  int32_t zone;
  uint32_t accuracy;
  uint32_t longest;
  uint32_t link_type;
};
struct packet_header {
  uint32_t seconds;
  uint32_t nanoseconds;
  uint32_t captured;
  uint32_t length;
};

#define MAGIC_NANOSECONDS 0xa1b23c4dU
#define LINK_ETHERNET 1

static void ready(void *context, uint32_t events) {
  struct tap *tap = context;
  /* The reader has gone. */
  if ((events & EPOLLERR) != 0) {
    loop_close(&tap->bridge->fabric->loop, &tap->watch);
    return;
  }
  tap->blocked = false;
  tap_flush(tap);
  if (!tap->blocked && tap->watch.fd >= 0) loop_rearm(&tap->bridge->fabric->loop, &tap->watch, 0);
}

struct tap *tap_open(struct bridge *bridge, struct port *port, int64_t id, int fd) {
  const struct file_header header = {
      .magic = MAGIC_NANOSECONDS, .major = 2, .minor = 4, .longest = FRAME_BYTES_MAX, .link_type = LINK_ETHERNET};
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return NULL;
  struct tap *tap = calloc(1, sizeof *tap);
  if (tap == NULL) return NULL;
  *tap = (struct tap){.bridge = bridge, .port = port, .id = id};
  tap->watch = (struct watch){.fd = -1, .ready = ready, .context = tap};
  if (!ring_reserve(&tap->queue, sizeof header, TAP_QUEUE_BYTES) ||
      !loop_watch(&bridge->fabric->loop, &tap->watch, fd, 0)) {
    ring_free(&tap->queue);
    free(tap);
    return NULL;
  }
  ring_append(&tap->queue, &header, sizeof header);
  tap->next = bridge->taps;
  bridge->taps = tap;
  return tap;
}

void tap_close(struct tap *tap) {
  struct fabric *fabric = tap->bridge->fabric;
  for (struct tap **at = &tap->bridge->taps; *at != NULL; at = &(*at)->next) {
    if (*at == tap) {
      *at = tap->next;
      break;
    }
  }
  /* What the reader's pipe still takes is for it. */
  tap->blocked = false;
  tap_flush(tap);
  loop_close(&fabric->loop, &tap->watch);
  ring_free(&tap->queue);
  loop_bury(&fabric->loop, &tap->grave, tap);
}

struct tap *tap_find(struct bridge *bridge, int64_t id) {
  struct tap *tap = bridge->taps;
  while (tap != NULL && tap->id != id) tap = tap->next;
  return tap;
}

void tap_flush(struct tap *tap) {
  struct iovec parts[2];
  while (tap->watch.fd >= 0 && !tap->blocked && tap->queue.length > 0) {
    ring_parts(&tap->queue, parts);
    ssize_t wrote = writev(tap->watch.fd, parts, 2);
    if (wrote >= 0) ring_consume(&tap->queue, (size_t)wrote);
    else if (errno == EAGAIN) {
      tap->blocked = true;
      loop_rearm(&tap->bridge->fabric->loop, &tap->watch, EPOLLOUT);
    } else if (errno != EINTR) loop_close(&tap->bridge->fabric->loop, &tap->watch);
  }
}

static void record(struct tap *tap, struct bytes frame) {
  if (tap->watch.fd < 0) return;
  if (!ring_reserve(&tap->queue, sizeof(struct packet_header) + frame.size, TAP_QUEUE_BYTES)) {
    tap->lost++;
    return;
  }
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  const struct packet_header header = {.seconds = (uint32_t)now.tv_sec,
                                       .nanoseconds = (uint32_t)now.tv_nsec,
                                       .captured = (uint32_t)frame.size,
                                       .length = (uint32_t)frame.size};
  ring_append(&tap->queue, &header, sizeof header);
  ring_append(&tap->queue, frame.data, frame.size);
}

void taps_see_entering(struct port *from, struct bytes frame) {
  for (struct tap *tap = from->bridge->taps; tap != NULL; tap = tap->next) {
    if (tap->port == NULL || tap->port == from) record(tap, frame);
  }
}

void taps_see_leaving(struct port *to, struct bytes frame) {
  for (struct tap *tap = to->bridge->taps; tap != NULL; tap = tap->next) {
    if (tap->port == to) record(tap, frame);
  }
}

void taps_forget(struct port *port) {
  for (struct tap *tap = port->bridge->taps, *next = NULL; tap != NULL; tap = next) {
    next = tap->next;
    if (tap->port == port) tap_close(tap);
  }
}
