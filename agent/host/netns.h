#ifndef PROVIUM_NETNS_H
#define PROVIUM_NETNS_H

/**
 * provium-helper netns: a network namespace of its own, and what is done inside it. The namespace lives as long as
 * its holder (and whatever was started inside); nothing of it is on the host.
 */
int netns_command(int argc, char **argv);

/** In capture.c: writes what passes an interface of this namespace to `fd` as classic pcap, until nobody reads. */
int capture_run(const char *interface, int fd);

#endif
