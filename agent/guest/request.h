#ifndef PROVIUM_REQUEST_H
#define PROVIUM_REQUEST_H

#include "call.h"
#include "frame.h"

/** From frames to requests: who serves one, whether it can be served, and what it will start. */

/** The message of a request that can be served, else NULL after refusing it. */
const struct message *request_check(struct session *session, const struct frame_head *head);
/** Room for the request's body; NULL after refusing it. */
struct call *request_create(struct session *session, const struct message *message, const struct frame_head *head,
                            size_t size);
/** The body is there: hands it to its task, or refuses it. */
void request_submit(struct session *session, const struct frame_head *head, struct call *call);

#endif
