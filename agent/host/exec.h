#ifndef PROVIUM_EXEC_H
#define PROVIUM_EXEC_H

/**
 * `exec [--parent PID] [--ask] [--batch] [--as UID:GID,...] [--] PROGRAM ARGUMENTS...`: becomes PROGRAM, which the
 * kernel kills when the parent ends; with `--ask` it sends SIGTERM, for a program that has something to end first.
 * `--batch` puts it under SCHED_BATCH, `--as` gives it the identity of another (identity.h). Inherited descriptors stay. Returns an exit status only on failure.
 */
int exec_command(int argc, char **argv);

#endif
