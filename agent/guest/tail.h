#ifndef PROVIUM_TAIL_H
#define PROVIUM_TAIL_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * The life of a stream's reader: a process of its own, cloned from a task like a command. It writes to standard
 * output what it reads, is held back by the pipe, and ends with the errno that stopped it as its status.
 */

struct tail {
  int file;
  off_t offset;
  /** Where the file's name is, or -1 when only the open file is known. */
  int directory;
  const char *name;
  /** /proc, to watch a file without a name; -1 without. */
  int proc_fd;
};

/** Follows a regular file. */
_Noreturn void tail_run(struct tail *tail);

/** Copies a descriptor until its end. */
_Noreturn void copy_run(int fd);

#endif
