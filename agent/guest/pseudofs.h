#ifndef PROVIUM_PSEUDOFS_H
#define PROVIUM_PSEUDOFS_H

#include <stdbool.h>
#include <stddef.h>

/** The kernel's own file systems: mounted for good where they are missing, or seen without being mounted. */

struct pseudofs {
  const char *type;
  const char *path;
  const char *options;
};

extern const struct pseudofs pseudofs_proc;
extern const struct pseudofs pseudofs_sys;
extern const struct pseudofs pseudofs_security;
extern const struct pseudofs pseudofs_dev;

enum mounted { MOUNT_FAILED = -1, MOUNT_PRESENT, MOUNT_DONE };

/** Mounts it unless it is there. On failure errno is set. */
enum mounted pseudofs_mount(const struct pseudofs *fs);

/**
 * A descriptor of its root directory. Where it is not mounted it is mounted for a moment and detached again;
 * the descriptor keeps it alive. -1 on failure.
 */
int pseudofs_open(const struct pseudofs *fs);

#endif
