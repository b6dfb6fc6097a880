#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rtnetlink.h"

#define MOST_ENTRIES 64
#define MILLISECOND ((int64_t)1000000)
#define LONGEST_WAIT_MS ((int64_t)600000)

/** What an interface is to become, from a NET_SETUP, while it waits for the interface to appear. */
struct network_wait {
  struct network_wait *next;
  struct agent *agent;
  int64_t session;
  struct frame_head head;
  struct watch links;
  struct timer timer;
  struct grave grave;

  uint8_t mac[MAC_SIZE];
  uint32_t mtu;
  size_t addresses;
  size_t routes;
  size_t dropped;
  struct prefix address[MOST_ENTRIES];
  struct route route[MOST_ENTRIES];
  struct route drop[MOST_ENTRIES];
};

static struct session *session_of(const struct network_wait *wait) {
  struct session *session = wait->agent->sessions;
  while (session != NULL && session->id != wait->session) session = session->next;
  return session;
}

/** Takes the wait out of the list and frees it once no event for it can come any more. */
static void end(struct network_wait *wait) {
  struct network_wait **at = &wait->agent->network_waits;
  while (*at != NULL && *at != wait) at = &(*at)->next;
  if (*at == wait) *at = wait->next;
  loop_disarm(&wait->agent->loop, &wait->timer);
  loop_close(&wait->agent->loop, &wait->links);
  loop_bury(&wait->agent->loop, &wait->grave, wait);
}

static void refuse(const struct network_wait *wait, int error, const char *operation) {
  struct session *session = session_of(wait);
  if (session != NULL)
    session_refuse(session, wait->head.actor, wait->head.request_id, error, operation, "%s", strerror(error));
}

/** IPv6 may be compiled out or turned off in the guest: then its addresses and routes are not given. */
static bool missing_ipv6(const struct prefix *what, int error) {
  return what->family == AF_INET6 && (error == -EAFNOSUPPORT || error == -EOPNOTSUPP || error == -EACCES ||
                                      error == -EPERM || error == -EHOSTUNREACH || error == -ENETUNREACH);
}

/** Carries it out on an interface that is there. 0 or -errno, with `*operation` what failed. */
static int apply(const struct network_wait *wait, int fd, int index, const char **operation) {
  int error = link_up(fd, index, wait->mtu);
  *operation = wait->mtu == 0 ? "bring up" : "set the MTU";
  if (error != 0) return error;
  *operation = "add address";
  for (size_t i = 0; i < wait->addresses; i++) {
    error = address_set(fd, index, &wait->address[i]);
    if (error != 0 && !missing_ipv6(&wait->address[i], error)) return error;
  }
  *operation = "remove route";
  for (size_t i = 0; i < wait->dropped; i++) {
    error = route_remove(fd, index, &wait->drop[i]);
    if (error != 0 && !missing_ipv6(&wait->drop[i].to, error)) return error;
  }
  *operation = "add route";
  for (size_t i = 0; i < wait->routes; i++) {
    error = route_set(fd, index, &wait->route[i]);
    if (error != 0 && !missing_ipv6(&wait->route[i].to, error)) return error;
  }
  return 0;
}

/** False: the interface is not there yet. Otherwise the request is answered and the wait is over. */
static bool attempt(struct network_wait *wait) {
  struct link link;
  const char *operation = "find the interface";
  int fd = rtnetlink_open();
  int error = fd < 0 ? fd : link_find(fd, wait->mac, &link);
  if (error == -ENODEV) {
    close(fd);
    return false;
  }
  if (error == 0) {
    /* A guest without an init of its own has its loopback down, and then does not even reach itself. */
    link_up(fd, 1, 0);
    error = apply(wait, fd, link.index, &operation);
  }
  if (fd >= 0) close(fd);
  struct session *session = session_of(wait);
  if (error != 0) refuse(wait, -error, operation);
  else if (session != NULL) {
    struct net_setup_reply reply = {.name = {.data = (const uint8_t *)link.name, .size = strlen(link.name)},
                                    .index = link.index};
    session_push(session, MESSAGE_OK, wait->head.actor, wait->head.request_id, &net_setup_reply_shape, &reply);
  }
  end(wait);
  return true;
}

static void links_changed(void *context, uint32_t events) {
  struct network_wait *wait = context;
  uint8_t chunk[8192];
  (void)events;
  /* What has changed is looked up anew: the notices only say that it is worth it. */
  while (recv(wait->links.fd, chunk, sizeof chunk, 0) > 0) {
  }
  attempt(wait);
}

static void expired(void *context) {
  struct network_wait *wait = context;
  refuse(wait, ENODEV, "find the interface");
  end(wait);
}

/** How many entries were read, or -1 when one of them cannot be parsed. */
static int read_prefixes(const struct sequence *list, struct prefix *into) {
  struct reader reader = sequence_reader(list);
  int count = 0;
  for (struct bytes text; msgpack_read_bytes(&reader, &text); count++) {
    if (count == MOST_ENTRIES || !prefix_parse(&into[count], (const char *)text.data, text.size)) return -1;
  }
  return count;
}

static int read_routes(const struct sequence *list, struct route *into) {
  struct reader reader = sequence_reader(list);
  int count = 0;
  for (struct bytes text; msgpack_read_bytes(&reader, &text); count++) {
    if (count == MOST_ENTRIES || !route_parse(&into[count], (const char *)text.data, text.size)) return -1;
  }
  return count;
}

static bool read_fields(struct network_wait *wait, const struct net_setup_fields *fields) {
  int addresses = read_prefixes(&fields->addresses, wait->address);
  int routes = read_routes(&fields->routes, wait->route);
  int dropped = read_routes(&fields->drop_routes, wait->drop);
  if (addresses < 0 || routes < 0 || dropped < 0 || fields->mac.size != MAC_SIZE) return false;
  if (fields->mtu < 0 || fields->mtu > 65535 || fields->timeout_ms < 0) return false;
  memcpy(wait->mac, fields->mac.data, MAC_SIZE);
  wait->mtu = (uint32_t)fields->mtu;
  wait->addresses = (size_t)addresses;
  wait->routes = (size_t)routes;
  wait->dropped = (size_t)dropped;
  return true;
}

void network_setup(struct session *session, const struct frame_head *head, const struct net_setup_fields *fields) {
  struct agent *agent = session->agent;
  struct network_wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) {
    session_refuse(session, head->actor, head->request_id, ENOMEM, "NET_SETUP", "%s", strerror(ENOMEM));
    return;
  }
  wait->agent = agent;
  wait->session = session->id;
  wait->head = *head;
  wait->links = (struct watch){.fd = -1, .ready = links_changed, .context = wait};
  wait->timer = (struct timer){.expired = expired, .context = wait};
  if (!read_fields(wait, fields)) {
    session_refuse(session, head->actor, head->request_id, EINVAL, "NET_SETUP", "a field has no meaning");
    free(wait);
    return;
  }
  wait->next = agent->network_waits;
  agent->network_waits = wait;
  /* Listen first: what appears between a look and the listening would be missed. */
  int fd = rtnetlink_listen();
  if (fd < 0 || !loop_watch(&agent->loop, &wait->links, fd, EPOLLIN)) {
    refuse(wait, fd < 0 ? -fd : errno, "watch interfaces");
    if (fd >= 0 && wait->links.fd < 0) close(fd);
    end(wait);
    return;
  }
  int64_t timeout_ms = fields->timeout_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : fields->timeout_ms;
  if (!attempt(wait)) loop_arm(&agent->loop, &wait->timer, timeout_ms * MILLISECOND);
}

void network_hosts(struct session *session, const struct frame_head *head, const struct net_hosts_fields *fields) {
  /* The hosts file of a machine that runs a test on itself is not ours to write. */
  int error = session->agent->in_guest ? -hosts_replace(session->agent->proc_fd, fields->text) : EPERM;
  if (error != 0) {
    session_refuse(session, head->actor, head->request_id, error, "write /etc/hosts", "%s", strerror(error));
    return;
  }
  session_push(session, MESSAGE_OK, head->actor, head->request_id, &(struct shape){0}, NULL);
}

void network_cancel(struct session *session, int64_t request_id) {
  struct network_wait *wait = session->agent->network_waits;
  while (wait != NULL && (wait->session != session->id || wait->head.request_id != request_id)) wait = wait->next;
  if (wait == NULL) return;
  refuse(wait, ECANCELED, "NET_SETUP");
  end(wait);
}

void network_of_session_ended(const struct session *session) {
  struct network_wait *next = NULL;
  for (struct network_wait *wait = session->agent->network_waits; wait != NULL; wait = next) {
    next = wait->next;
    if (wait->session == session->id) end(wait);
  }
}

void network_abandon(struct agent *agent) {
  while (agent->network_waits != NULL) end(agent->network_waits);
}
