/**
 * Guests on the userland switch (agent/host/switch) that send anything: two routed bridges with two ports each, of
 * which one way is impaired in every manner. The input is a list of pieces, each behind a byte that says which port
 * sends it and whether it is a frame (the length is put in front) or raw bytes of the stream, and two of its length.
 */

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bigendian.h"
#include "bridge.h"
#include "fabric.h"
#include "pair.h"
#include "tap.h"

#define PORTS 4
#define RAW 0x80
/** Pieces that are sent before the switch gets its turn. */
#define BURST 8

static void must(int condition) {
  if (!condition) abort();
}

static struct bytes text(const char *bytes, size_t size) {
  return (struct bytes){.data = (const uint8_t *)bytes, .size = size};
}

static struct bridge *open_bridge(struct fabric *fabric, int64_t id, const char *ipv4, const char *ipv6) {
  struct bridge_addresses addresses = {.ipv4 = text(ipv4, 4), .prefix = 24, .ipv6 = text(ipv6, 16)};
  return bridge_open(fabric, id, 1500, addresses);
}

static void turn(struct fabric *fabric, const int *guests) {
  static uint8_t sink[1 << 16];
  loop_turn(&fabric->loop, true);
  schedule_run(&fabric->schedule);
  while (fabric->dirty != NULL) {
    struct port *port = fabric->dirty;
    fabric->dirty = port->next_dirty;
    port->dirty = false;
    port_flush(port);
  }
  for (struct bridge *bridge = fabric->bridges; bridge != NULL; bridge = bridge->next) {
    for (struct tap *tap = bridge->taps; tap != NULL; tap = tap->next) tap_flush(tap);
  }
  for (int i = 0; i < PORTS + 1; i++) {
    while (recv(guests[i], sink, sizeof sink, MSG_DONTWAIT) > 0) continue;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct impairment wrong = {.latency_ns = 1000,
                                          .jitter_ns = 500,
                                          .loss = PROBABILITY_ONE / 8,
                                          .duplicate = PROBABILITY_ONE / 4,
                                          .reorder = PROBABILITY_ONE / 4,
                                          .corrupt = PROBABILITY_ONE / 4,
                                          .rate_bps = INT64_C(1000000000)};
  struct fabric *fabric = calloc(1, sizeof *fabric);
  int guests[PORTS + 1];
  must(fabric != NULL && loop_init(&fabric->loop) && schedule_init(&fabric->schedule, &fabric->loop));
  struct bridge *bridges[2] = {open_bridge(fabric, 1, "\x0a\x00\x01\xfe", "\xfd\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"),
                               open_bridge(fabric, 2, "\x0a\x00\x02\xfe", "\xfd\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1")};
  must(bridges[0] != NULL && bridges[1] != NULL);
  must(gateway_route(&bridges[0]->gateway, bridges[1]) && gateway_route(&bridges[1]->gateway, bridges[0]));
  struct port *ports[PORTS];
  for (int i = 0; i < PORTS; i++) {
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    ports[i] = bridge_add(bridges[i / 2], i + 1, ends[0], text("port", 4));
    must(ports[i] != NULL);
    guests[i] = ends[1];
  }
  struct pair *pair = pair_open(fabric, ports[0], ports[1]);
  must(pair != NULL);
  pair_set(pair, &wrong, 1);
  int capture[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, capture) == 0);
  guests[PORTS] = capture[1];
  must(tap_open(bridges[0], NULL, 1, capture[0]) != NULL);

  int pieces = 0;
  for (size_t at = 0; at + 3 <= size;) {
    uint8_t who = data[at];
    size_t length = (size_t)load_be(data + at + 1, 2);
    at += 3;
    if (length > size - at) length = size - at;
    int guest = guests[who % PORTS];
    uint8_t head[FRAME_LENGTH_BYTES];
    store_be(head, length, sizeof head);
    if ((who & RAW) == 0) (void)!send(guest, head, sizeof head, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)!send(guest, data + at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    at += length;
    if (++pieces % BURST == 0) turn(fabric, guests);
  }
  for (int i = 0; i < 2; i++) turn(fabric, guests);
  must(fabric->flight_bytes <= FLIGHT_BYTES_MAX);

  while (fabric->bridges != NULL) bridge_close(fabric->bridges);
  schedule_end(&fabric->schedule);
  pool_end(&fabric->pool);
  loop_end(&fabric->loop);
  for (int i = 0; i < PORTS + 1; i++) close(guests[i]);
  free(fabric);
  return 0;
}
