#ifndef PROVIUM_CMDLINE_H
#define PROVIUM_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/** Words of the kernel's command line that are meant for Provium; see kernel parameters `provium.*`. */

#define CMDLINE_MAX 4096

/** Reads /proc/cmdline through a descriptor of /proc; an empty line when that fails. */
void cmdline_read(int proc_fd, char line[CMDLINE_MAX]);

/** Value of the last `name=value` on the line, copied to `value`. False when there is none or it is too long. */
bool cmdline_value(const char *line, const char *name, char *value, size_t size);

/** Removes entries that start with `provium.` from an argument vector or environment, in place. */
void cmdline_strip(char **entries);

#endif
