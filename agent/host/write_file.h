#ifndef PROVIUM_WRITE_FILE_H
#define PROVIUM_WRITE_FILE_H

#include <stdbool.h>

/** Writes a setting, such as those of /proc, in one write(2). errno tells of a failure. */
bool write_file(const char *path, const char *text);

#endif
