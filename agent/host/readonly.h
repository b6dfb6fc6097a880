#ifndef PROVIUM_READONLY_H
#define PROVIUM_READONLY_H

/**
 * `readonly [--] PROGRAM ARGUMENTS...`: becomes PROGRAM in a mount namespace in which nothing of this host's tree can
 * be written, whatever the program does. It ends with our parent. Returns an exit status only on failure.
 */
int readonly_command(int argc, char **argv);

#endif
