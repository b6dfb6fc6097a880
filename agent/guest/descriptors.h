#ifndef PROVIUM_DESCRIPTORS_H
#define PROVIUM_DESCRIPTORS_H

#include <stdbool.h>

/** Closes `first` to `last`, both included. */
void descriptors_close(unsigned first, unsigned last);

/** Opens whatever is closed of 0, 1 and 2, so that nothing of the program's own takes their place. */
void descriptors_fill_standard(void);

/**
 * Makes `fds[i]` descriptor i of this process, without close-on-exec; for a -1 descriptor i is closed. They may sit
 * in one another's way: first all go up, then into place. What they were before stays open.
 */
bool descriptors_place(int *fds, int count);

#endif
