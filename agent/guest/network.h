#ifndef PROVIUM_NETWORK_H
#define PROVIUM_NETWORK_H

#include "messages.h"
#include "session.h"

/** Network interfaces and host names of the guest, set up by the I/O process in the network of init. */

/** NET_SETUP: waits for the interface where it has not come yet. */
void network_setup(struct session *session, const struct frame_head *head, const struct net_setup_fields *fields);
/** NET_HOSTS. */
void network_hosts(struct session *session, const struct frame_head *head, const struct net_hosts_fields *fields);
/** Gives up the wait of that request, if there is one. */
void network_cancel(struct session *session, int64_t request_id);
/** Nobody waits for the interfaces of this session any more. */
void network_of_session_ended(const struct session *session);
/** Gives up every wait for an interface. */
void network_abandon(struct agent *agent);

/** In hosts.c: puts `text` between our marks in the hosts file of PID 1's root. 0 or -errno. */
int hosts_replace(int proc_fd, struct bytes text);

#endif
