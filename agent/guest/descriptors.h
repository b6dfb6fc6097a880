#ifndef PROVIUM_DESCRIPTORS_H
#define PROVIUM_DESCRIPTORS_H

#include <stdbool.h>

/** Closes `first` to `last`, both included. */
void descriptors_close(unsigned first, unsigned last);

/**
 * Makes `fds[i]` descriptor i of this process, without close-on-exec; for a -1 descriptor i is closed. They may sit
 * in one another's way: first all go up, then into place. What they were before stays open.
 */
bool descriptors_place(int *fds, int count);

#endif
