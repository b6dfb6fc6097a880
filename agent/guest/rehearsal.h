#ifndef PROVIUM_REHEARSAL_H
#define PROVIUM_REHEARSAL_H

#include "messages.h"
#include "session.h"

/**
 * REHEARSE: a command that does nothing, in a machine that waits to go on from a snapshot. An emulator translates the
 * code of a guest where it first runs, which makes the first command take ten times as long as the second.
 */
void rehearse(struct session *session, const struct frame_head *head);

#endif
