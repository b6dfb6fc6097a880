#ifndef PROVIUM_DISK_COMMAND_H
#define PROVIUM_DISK_COMMAND_H

/** provium-helper disk CONTROL_FD: serves one disk until the control socket is closed. */
int disk_command(int argc, char **argv);

#endif
