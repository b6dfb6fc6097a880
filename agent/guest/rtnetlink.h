#ifndef PROVIUM_RTNETLINK_H
#define PROVIUM_RTNETLINK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The few requests of rtnetlink(7) that set up a network interface. Each function returns 0 or a negative errno;
 * the kernel answers such requests while it takes them, so nothing here waits.
 */

/** "10.1.2.3/24" or "fd00::1/64". */
struct prefix {
  /** AF_INET or AF_INET6. */
  uint8_t family;
  uint8_t length;
  /** 4 or 16 of them count. */
  uint8_t address[16];
};

struct route {
  struct prefix to;
  uint8_t gateway[16];
};

struct link {
  int index;
  char name[16];
};

#define MAC_SIZE 6

/** False unless the text is an address, a slash and a length that fits. */
bool prefix_parse(struct prefix *prefix, const char *text, size_t size);
/** "10.2.0.0/16 10.1.0.1": where to, and through whom. */
bool route_parse(struct route *route, const char *text, size_t size);

/** A socket that becomes readable when an interface comes, goes or changes; -errno. */
int rtnetlink_listen(void);
/** A socket for requests; -errno. */
int rtnetlink_open(void);

/** The interface with that hardware address; -ENODEV when there is none. */
int link_find(int fd, const uint8_t mac[MAC_SIZE], struct link *link);
/** Brings the interface up, with `mtu` unless that is 0. */
int link_up(int fd, int index, uint32_t mtu);
int address_set(int fd, int index, const struct prefix *address);
int route_set(int fd, int index, const struct route *route);
/** A route that is not there counts as removed. */
int route_remove(int fd, int index, const struct route *route);

#endif
