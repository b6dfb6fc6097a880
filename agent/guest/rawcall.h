#ifndef PROVIUM_RAWCALL_H
#define PROVIUM_RAWCALL_H

#include <stdint.h>
#include <sys/syscall.h>

#define RAW_IOCTL SYS_ioctl

/**
 * One system call by number, with the kernel's own return value (-errno on failure) and no libc in between:
 * its wrappers would change the credentials of every thread, cache pids, or retry. The child of a fork-like
 * call ends at once with status 0: it must not answer in the task's place.
 */
int64_t raw_call(int64_t number, const uint64_t arguments[6]);

#endif
