#ifndef PROVIUM_HOST_TSC_H
#define PROVIUM_HOST_TSC_H

/** `provium-helper tsc`: prints the rate of the time stamp counter in kHz. */
int tsc_command(int argc, char **argv);

#endif
