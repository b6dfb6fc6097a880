/** What the runner may ask for: one function for each request of src/net/switch-messages.ts. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge.h"
#include "control.h"
#include "fabric.h"
#include "pair.h"
#include "switch_messages.h"
#include "tap.h"

/** A refusal of our own, or, with `error`, of the kernel. */
static bool no(struct refusal *refusal, int error, const char *message) {
  refusal->error = error;
  refusal->message = message;
  return false;
}

static struct bridge *known_bridge(struct fabric *fabric, int64_t id, struct refusal *refusal) {
  struct bridge *bridge = bridge_find(fabric, id);
  if (bridge == NULL) no(refusal, 0, "there is no such bridge");
  return bridge;
}

static struct port *known_port(struct fabric *fabric, int64_t bridge_id, int64_t id, struct refusal *refusal) {
  struct bridge *bridge = known_bridge(fabric, bridge_id, refusal);
  struct port *port = bridge == NULL ? NULL : bridge_port(bridge, id);
  if (bridge != NULL && port == NULL) no(refusal, 0, "there is no such port on the bridge");
  return port;
}

static bool open_bridge(struct fabric *fabric, const struct switch_bridge_open_fields *request,
                        struct refusal *refusal) {
  if (bridge_find(fabric, request->bridge) != NULL) return no(refusal, EEXIST, "the bridge is there already");
  if (request->mtu < 68 || request->mtu > 65535) return no(refusal, 0, "the MTU is not within 68 to 65535");
  if (request->gateway.size != 0 && request->gateway.size != 4) return no(refusal, 0, "an IPv4 address has 4 bytes");
  if (request->gateway6.size != 0 && request->gateway6.size != 16) return no(refusal, 0, "an IPv6 address has 16 bytes");
  if (request->gateway6.size != 0 && request->gateway.size == 0) return no(refusal, 0, "an IPv6 address alone");
  if (request->prefix < 0 || request->prefix > 32) return no(refusal, 0, "a prefix has 0 to 32 bits");
  struct bridge_addresses addresses = {
      .ipv4 = request->gateway, .prefix = (unsigned)request->prefix, .ipv6 = request->gateway6};
  if (bridge_open(fabric, request->bridge, (size_t)request->mtu, addresses) == NULL)
    return no(refusal, ENOMEM, "no memory for a bridge");
  return true;
}

static bool close_bridge(struct fabric *fabric, const struct switch_bridge_close_fields *request,
                         struct refusal *refusal) {
  struct bridge *bridge = known_bridge(fabric, request->bridge, refusal);
  if (bridge == NULL) return false;
  bridge_close(bridge);
  return true;
}

static bool open_port(struct control *control, const struct switch_port_open_fields *request,
                      struct refusal *refusal) {
  int fd = control_take_fd(control);
  if (fd < 0) return no(refusal, EBADF, "no descriptor came with the request");
  struct bridge *bridge = known_bridge(control->fabric, request->bridge, refusal);
  if (bridge != NULL && bridge_add(bridge, request->port, fd, request->name) != NULL) return true;
  if (bridge != NULL)
    no(refusal, errno, errno == ENOSPC ? "the bridge has no free port" : "the port cannot be opened");
  close(fd);
  return false;
}

static bool close_port(struct fabric *fabric, const struct switch_port_close_fields *request,
                       struct refusal *refusal) {
  struct port *port = known_port(fabric, request->bridge, request->port, refusal);
  if (port == NULL) return false;
  if (port->slot == GATEWAY_SLOT) return no(refusal, 0, "port 0 is the bridge itself");
  bridge_remove(port);
  return true;
}

static bool count_port(struct fabric *fabric, const struct switch_port_counters_fields *request,
                       struct switch_port_counters_reply *reply, struct refusal *refusal) {
  const struct port *port = known_port(fabric, request->bridge, request->port, refusal);
  if (port == NULL) return false;
  *reply = (struct switch_port_counters_reply){
      .rx_bytes = port->counters.rx_bytes,
      .tx_bytes = port->counters.tx_bytes,
      .rx_packets = port->counters.rx_packets,
      .tx_packets = port->counters.tx_packets,
      .errors = port->counters.errors,
  };
  return true;
}

struct planned {
  struct port *from;
  struct port *to;
  struct impairment impairment;
};

static bool within(int64_t value, int64_t most) { return value >= 0 && value <= most; }

/** Reads one pair of a plan; the decoder has checked that the integers are there. */
static bool read_pair(struct bridge *bridge, struct reader *reader, struct planned *planned, struct refusal *refusal) {
  int64_t v[PAIR_FIELDS] = {0};
  for (int i = 0; i < PAIR_FIELDS; i++) {
    if (!msgpack_read_int(reader, &v[i])) return no(refusal, 0, "a pair is incomplete");
  }
  *planned = (struct planned){
      .from = bridge_port(bridge, v[0]),
      .to = bridge_port(bridge, v[1]),
      .impairment = {.cut = v[2] != 0, .latency_ns = v[3], .jitter_ns = v[4], .loss = v[5], .duplicate = v[6],
                     .reorder = v[7], .corrupt = v[8], .rate_bps = v[9]},
  };
  if (planned->from == NULL || planned->to == NULL) return no(refusal, 0, "a pair names a port that is not there");
  if (planned->from == planned->to) return no(refusal, 0, "a pair has the same port twice");
  if (!within(v[3], LATENCY_NS_MAX) || !within(v[4], LATENCY_NS_MAX))
    return no(refusal, 0, "a latency or jitter is not within 0 to an hour");
  for (int i = 5; i <= 8; i++) {
    if (!within(v[i], PROBABILITY_ONE)) return no(refusal, 0, "a probability is not within 0 to 2^32");
  }
  if (v[9] < 0) return no(refusal, 0, "a rate is negative");
  return true;
}

static bool same(const struct impairment *a, const struct impairment *b) {
  return a->cut == b->cut && a->latency_ns == b->latency_ns && a->jitter_ns == b->jitter_ns && a->loss == b->loss &&
         a->duplicate == b->duplicate && a->reorder == b->reorder && a->corrupt == b->corrupt &&
         a->rate_bps == b->rate_bps;
}

static bool put_in_force(struct bridge *bridge, const struct planned *planned, bool reseeded) {
  struct pair *pair = planned->from->pairs[planned->to->slot];
  bool fresh = pair == NULL;
  if (fresh) {
    pair = pair_open(bridge->fabric, planned->from, planned->to);
    if (pair == NULL) return false;
  }
  pair->plan = bridge->plan;
  if (fresh || reseeded || !same(&pair->impairment, &planned->impairment))
    pair_set(pair, &planned->impairment, bridge->seed);
  return true;
}

/** Pairs that the plan does not name become plain wires again. */
static void retire_pairs(struct bridge *bridge) {
  for (size_t from = 0; from < bridge->slots; from++) {
    for (size_t to = 0; bridge->ports[from] != NULL && to < bridge->slots; to++) {
      struct pair *pair = bridge->ports[from]->pairs[to];
      if (pair != NULL && pair->plan != bridge->plan) pair_close(pair);
    }
  }
}

static bool apply_plan(struct fabric *fabric, const struct switch_plan_fields *request, struct refusal *refusal) {
  struct bridge *bridge = known_bridge(fabric, request->bridge, refusal);
  if (bridge == NULL) return false;
  if (request->pairs.count % PAIR_FIELDS != 0) return no(refusal, 0, "a pair is incomplete");
  uint32_t count = request->pairs.count / PAIR_FIELDS;
  struct planned planned;
  /* All of it is looked at before any of it holds. */
  struct reader reader = sequence_reader(&request->pairs);
  for (uint32_t i = 0; i < count; i++) {
    if (!read_pair(bridge, &reader, &planned, refusal)) return false;
  }
  bool reseeded = bridge->seed != (uint64_t)request->seed;
  bridge->seed = (uint64_t)request->seed;
  bridge->plan++;
  reader = sequence_reader(&request->pairs);
  for (uint32_t i = 0; i < count; i++) {
    if (!read_pair(bridge, &reader, &planned, refusal)) return false;
    if (!put_in_force(bridge, &planned, reseeded)) return no(refusal, ENOMEM, "no memory for the plan");
  }
  retire_pairs(bridge);
  return true;
}

static bool route(struct fabric *fabric, const struct switch_route_fields *request, struct refusal *refusal) {
  struct bridge *a = known_bridge(fabric, request->a, refusal);
  struct bridge *b = a == NULL ? NULL : known_bridge(fabric, request->b, refusal);
  if (b == NULL) return false;
  if (a == b) return no(refusal, 0, "a bridge needs no route to itself");
  if (!a->gateway.present || !b->gateway.present) return no(refusal, 0, "a bridge without address cannot route");
  if (request->routed == 0) {
    gateway_unroute(&a->gateway, b);
    gateway_unroute(&b->gateway, a);
  } else if (!gateway_route(&a->gateway, b) || !gateway_route(&b->gateway, a))
    return no(refusal, ENOSPC, "the bridge has too many routes");
  return true;
}

static bool open_capture(struct control *control, const struct switch_capture_open_fields *request,
                         struct refusal *refusal) {
  int fd = control_take_fd(control);
  if (fd < 0) return no(refusal, EBADF, "no descriptor came with the request");
  struct bridge *bridge = known_bridge(control->fabric, request->bridge, refusal);
  struct port *port = NULL;
  bool fits = bridge != NULL;
  if (fits && request->port >= 0) {
    port = known_port(control->fabric, request->bridge, request->port, refusal);
    fits = port != NULL;
  }
  if (fits && tap_find(bridge, request->capture) != NULL) fits = no(refusal, EEXIST, "the capture is there already");
  if (fits && tap_open(bridge, port, request->capture, fd) == NULL)
    fits = no(refusal, errno, "the capture cannot be opened");
  if (!fits) close(fd);
  return fits;
}

static bool close_capture(struct fabric *fabric, const struct switch_capture_close_fields *request,
                          struct switch_capture_close_reply *reply, struct refusal *refusal) {
  struct bridge *bridge = known_bridge(fabric, request->bridge, refusal);
  if (bridge == NULL) return false;
  struct tap *tap = tap_find(bridge, request->capture);
  if (tap == NULL) return true;
  reply->lost = tap->lost;
  tap_close(tap);
  return true;
}

static int64_t open_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return -1;
  int64_t count = 0;
  for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
    count += entry->d_name[0] != '.';
  closedir(directory);
  /* The one that was just looked through. */
  return count - 1;
}

/** Resident pages are the second figure of statm (proc(5)). */
static int64_t resident_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "re");
  if (file == NULL) return -1;
  long long pages = -1;
  if (fscanf(file, "%*s %lld", &pages) != 1) pages = -1;
  fclose(file);
  return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static bool tell_state(struct fabric *fabric, struct switch_state_reply *reply) {
  *reply = (struct switch_state_reply){.flight_bytes = (int64_t)fabric->flight_bytes};
  for (struct bridge *bridge = fabric->bridges; bridge != NULL; bridge = bridge->next) {
    reply->bridges++;
    reply->learned += learning_count(&bridge->learning);
    for (struct tap *tap = bridge->taps; tap != NULL; tap = tap->next) reply->captures++;
    for (size_t slot = GATEWAY_SLOT; slot < bridge->slots; slot++) {
      const struct port *port = bridge->ports[slot];
      if (port == NULL) continue;
      reply->ports += slot != GATEWAY_SLOT;
      reply->queued_bytes += (int64_t)port->queue.length;
      for (size_t to = 0; to < bridge->slots; to++) reply->pairs += port->pairs[to] != NULL;
    }
  }
  reply->descriptors = open_descriptors();
  reply->rss_bytes = resident_bytes();
  return true;
}

bool request_serve(struct control *control, int64_t kind, const void *fields, void *reply, struct refusal *refusal) {
  struct fabric *fabric = control->fabric;
  switch (kind) {
    case SWITCH_MESSAGE_BRIDGE_OPEN:
      return open_bridge(fabric, fields, refusal);
    case SWITCH_MESSAGE_BRIDGE_CLOSE:
      return close_bridge(fabric, fields, refusal);
    case SWITCH_MESSAGE_PORT_OPEN:
      return open_port(control, fields, refusal);
    case SWITCH_MESSAGE_PORT_CLOSE:
      return close_port(fabric, fields, refusal);
    case SWITCH_MESSAGE_PORT_COUNTERS:
      return count_port(fabric, fields, reply, refusal);
    case SWITCH_MESSAGE_PLAN:
      return apply_plan(fabric, fields, refusal);
    case SWITCH_MESSAGE_ROUTE:
      return route(fabric, fields, refusal);
    case SWITCH_MESSAGE_CAPTURE_OPEN:
      return open_capture(control, fields, refusal);
    case SWITCH_MESSAGE_CAPTURE_CLOSE:
      return close_capture(fabric, fields, reply, refusal);
    case SWITCH_MESSAGE_STATE:
      return tell_state(fabric, reply);
    default:
      return no(refusal, 0, "no request has this kind");
  }
}
