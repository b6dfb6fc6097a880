#ifndef PROVIUM_IDENTITY_H
#define PROVIUM_IDENTITY_H

#include <stdbool.h>

/**
 * Becomes somebody else for good: `UID:GID` or `UID:GID,GROUP,...`, the supplementary groups being those named and no
 * others. False with errno for text of another form (EINVAL) and where the kernel refuses; the process has then kept
 * nothing that it could go on with and is to end.
 */
bool identity_take(const char *text);

#endif
