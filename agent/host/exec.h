#ifndef PROVIUM_EXEC_H
#define PROVIUM_EXEC_H

/**
 * `exec [--parent PID] [--] PROGRAM ARGUMENTS...`: becomes PROGRAM, which the kernel kills when the parent
 * ends. Inherited descriptors stay. Returns an exit status only on failure.
 */
int exec_command(int argc, char **argv);

#endif
