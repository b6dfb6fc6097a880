#ifndef PROVIUM_USERNS_H
#define PROVIUM_USERNS_H

#include <stdbool.h>

/**
 * unshare(2) of the namespaces in `flags`, together with a user namespace in which we are root where we may not have
 * them as we are. errno tells of a failure.
 */
bool userns_unshare(int flags);

#endif
