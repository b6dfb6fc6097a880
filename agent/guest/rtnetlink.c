#include "rtnetlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "netlink.h"

/** Room for one request: headers and a handful of attributes. */
#define REQUEST_SIZE 256
/** Room for one answer to a dump; the kernel never sends more than 32 KiB at once. */
#define ANSWER_SIZE 32768

struct request {
  struct nlmsghdr head;
  uint8_t body[REQUEST_SIZE];
};

static size_t address_size(uint8_t family) { return family == AF_INET ? 4 : 16; }

bool prefix_parse(struct prefix *prefix, const char *text, size_t size) {
  char copy[64];
  char *end = NULL;
  if (size == 0 || size >= sizeof copy) return false;
  memcpy(copy, text, size);
  copy[size] = '\0';
  char *slash = strchr(copy, '/');
  if (slash == NULL || slash[1] < '0' || slash[1] > '9') return false;
  *slash = '\0';
  unsigned long length = strtoul(slash + 1, &end, 10);
  *prefix = (struct prefix){.family = strchr(copy, ':') == NULL ? AF_INET : AF_INET6};
  if (*end != '\0' || length > 8 * address_size(prefix->family)) return false;
  prefix->length = (uint8_t)length;
  return inet_pton(prefix->family, copy, prefix->address) == 1;
}

bool route_parse(struct route *route, const char *text, size_t size) {
  char gateway[64];
  const char *blank = memchr(text, ' ', size);
  if (blank == NULL || !prefix_parse(&route->to, text, (size_t)(blank - text))) return false;
  size_t rest = size - (size_t)(blank - text) - 1;
  if (rest == 0 || rest >= sizeof gateway) return false;
  memcpy(gateway, blank + 1, rest);
  gateway[rest] = '\0';
  return inet_pton(route->to.family, gateway, route->gateway) == 1;
}

int rtnetlink_listen(void) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = -errno;
  close(fd);
  return error;
}

int rtnetlink_open(void) {
  /* Never reached; it only keeps a kernel that answers nothing from holding us for ever. */
  struct timeval patience = {.tv_sec = 1};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

/** Starts a request with the fixed part of its body. */
static void begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed, size_t size) {
  *request = (struct request){.head = {.nlmsg_len = (uint32_t)(sizeof request->head + size),
                                       .nlmsg_type = type,
                                       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                                       .nlmsg_seq = 1}};
  memcpy(request->body, fixed, size);
}

/** The callers' attributes fit into REQUEST_SIZE by far. */
static void attribute(struct request *request, uint16_t type, const void *data, size_t size) {
  struct rtattr head = {.rta_len = (uint16_t)(sizeof head + size), .rta_type = type};
  size_t at = NETLINK_ALIGN(request->head.nlmsg_len);
  uint8_t *place = (uint8_t *)request + at;
  memcpy(place, &head, sizeof head);
  memcpy(place + sizeof head, data, size);
  request->head.nlmsg_len = (uint32_t)(at + NETLINK_ALIGN(head.rta_len));
}

static int send_request(int fd, const struct request *request) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent = sendto(fd, request, request->head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel);
  return sent < 0 ? -errno : 0;
}

/** Sends the request and returns what the kernel says to it. */
static int transact(int fd, struct request *request) {
  struct {
    struct nlmsghdr head;
    struct nlmsgerr said;
    uint8_t rest[1024];
  } answer;
  request->head.nlmsg_flags |= NLM_F_ACK;
  int error = send_request(fd, request);
  if (error != 0) return error;
  ssize_t size = recv(fd, &answer, sizeof answer, 0);
  if (size < 0) return -errno;
  if ((size_t)size < sizeof answer.head + sizeof answer.said || answer.head.nlmsg_type != NLMSG_ERROR) return -EPROTO;
  return answer.said.error;
}

/** Fills `link` when the body of a RTM_NEWLINK is about the interface with that address. */
static bool is_link(const uint8_t *body, size_t size, const uint8_t mac[MAC_SIZE], struct link *link) {
  struct ifinfomsg info;
  bool found = false;
  if (size < sizeof info) return false;
  memcpy(&info, body, sizeof info);
  *link = (struct link){.index = info.ifi_index};
  for (size_t at = sizeof info; at + sizeof(struct rtattr) <= size;) {
    struct rtattr head;
    memcpy(&head, body + at, sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > size - at) break;
    const uint8_t *value = body + at + sizeof head;
    size_t length = head.rta_len - sizeof head;
    if (head.rta_type == IFLA_ADDRESS && length == MAC_SIZE) found = memcmp(value, mac, MAC_SIZE) == 0;
    if (head.rta_type == IFLA_IFNAME && length < sizeof link->name) memcpy(link->name, value, length);
    at += NETLINK_ALIGN(head.rta_len);
  }
  return found;
}

/** Looks for the interface in one answer to a dump. True: this was its last part. */
static bool search(const uint8_t *answer, size_t size, const uint8_t mac[MAC_SIZE], struct link *link, bool *found) {
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= size;) {
    struct nlmsghdr head;
    struct link candidate;
    memcpy(&head, answer + at, sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > size - at) return true;
    if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) return true;
    if (head.nlmsg_type == RTM_NEWLINK && !*found &&
        is_link(answer + at + sizeof head, head.nlmsg_len - sizeof head, mac, &candidate)) {
      *link = candidate;
      *found = true;
    }
    at += NETLINK_ALIGN(head.nlmsg_len);
  }
  return false;
}

int link_find(int fd, const uint8_t mac[MAC_SIZE], struct link *link) {
  struct ifinfomsg every = {0};
  struct request request;
  bool found = false;
  uint8_t *answer = malloc(ANSWER_SIZE);
  if (answer == NULL) return -ENOMEM;
  begin(&request, RTM_GETLINK, NLM_F_DUMP, &every, sizeof every);
  int error = send_request(fd, &request);
  for (bool last = error != 0; !last;) {
    ssize_t size = recv(fd, answer, ANSWER_SIZE, 0);
    if (size <= 0) error = size < 0 ? -errno : -EPROTO;
    last = size <= 0 || search(answer, (size_t)size, mac, link, &found);
  }
  free(answer);
  if (error == 0 && !found) error = -ENODEV;
  return error;
}

int link_up(int fd, int index, uint32_t mtu) {
  struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct request request;
  begin(&request, RTM_NEWLINK, 0, &up, sizeof up);
  if (mtu != 0) attribute(&request, IFLA_MTU, &mtu, sizeof mtu);
  return transact(fd, &request);
}

int address_set(int fd, int index, const struct prefix *address) {
  size_t size = address_size(address->family);
  struct ifaddrmsg fields = {
      .ifa_family = address->family, .ifa_prefixlen = address->length, .ifa_index = (unsigned)index};
  struct request request;
  begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &fields, sizeof fields);
  attribute(&request, IFA_LOCAL, address->address, size);
  attribute(&request, IFA_ADDRESS, address->address, size);
  if (address->family == AF_INET && address->length < 31) {
    uint8_t broadcast[4];
    uint32_t hosts = htonl(0xffffffffu >> address->length);
    memcpy(broadcast, &hosts, sizeof broadcast);
    for (size_t i = 0; i < sizeof broadcast; i++) broadcast[i] |= address->address[i];
    attribute(&request, IFA_BROADCAST, broadcast, sizeof broadcast);
  } else if (address->family == AF_INET6) {
    /* Addresses are ours to give: nobody waits for the kernel to look for a second owner. */
    uint32_t flags = IFA_F_NODAD;
    attribute(&request, IFA_FLAGS, &flags, sizeof flags);
  }
  return transact(fd, &request);
}

static int change_route(int fd, int index, const struct route *route, uint16_t type, uint16_t flags) {
  uint32_t device = (uint32_t)index;
  size_t size = address_size(route->to.family);
  struct rtmsg fields = {.rtm_family = route->to.family,
                         .rtm_dst_len = route->to.length,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_STATIC,
                         .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = RTN_UNICAST};
  struct request request;
  begin(&request, type, flags, &fields, sizeof fields);
  if (route->to.length > 0) attribute(&request, RTA_DST, route->to.address, size);
  attribute(&request, RTA_GATEWAY, route->gateway, size);
  attribute(&request, RTA_OIF, &device, sizeof device);
  return transact(fd, &request);
}

int route_set(int fd, int index, const struct route *route) {
  return change_route(fd, index, route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
}

int route_remove(int fd, int index, const struct route *route) {
  int error = change_route(fd, index, route, RTM_DELROUTE, 0);
  return error == -ESRCH ? 0 : error;
}
