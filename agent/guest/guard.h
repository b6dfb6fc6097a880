#ifndef PROVIUM_GUARD_H
#define PROVIUM_GUARD_H

/**
 * An agent of the host is two processes. The guard is the one that was started: it does nothing but wait for the other,
 * which is the agent proper, and adopt what that leaves behind when it is killed. So neither a killed agent nor a killed
 * guard leaves a command running: the one is cleaned up after by the other.
 */

/** Returns in the agent; the guard ends as the agent does. Without a second process there is no guard. */
void guard_stand(void);

#endif
