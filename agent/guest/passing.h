#ifndef PROVIUM_PASSING_H
#define PROVIUM_PASSING_H

#include <stdbool.h>

/** Descriptors over a Unix socket, with one byte of data. */

#define PASS_MOST 4

/** Never waits. */
bool pass_descriptors(int socket, const int *fds, unsigned count);
/** Takes up to `count` descriptors, close-on-exec; returns how many came, -1 when nothing is there. */
int take_descriptors(int socket, int *fds, unsigned count);

#endif
