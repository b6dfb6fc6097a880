#ifndef PROVIUM_PARKING_H
#define PROVIUM_PARKING_H

#include "messages.h"
#include "session.h"

/**
 * A session at rest, so that the machine can be saved and another one can go on from there: PARK and RESUME. Its
 * tasks, commands and workers go on as far as they can; what they say waits in the agent's memory and in pipes.
 */

/** PARK: from the end of the frame that is being sent on, nothing is sent but the answer. */
void park(struct session *session, const struct frame_head *head);
/** Puts the answer to PARK into `out`, which is empty: the last that leaves. False without memory. */
bool park_answer(struct session *session);
/** RESUME: of this session (token 0 too), or of one whose connection broke while it was parked. */
void resume(struct session *session, const struct frame_head *head, const struct resume_fields *request);

#endif
