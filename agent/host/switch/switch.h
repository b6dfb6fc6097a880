#ifndef PROVIUM_SWITCH_H
#define PROVIUM_SWITCH_H

/** `provium-helper switch`: the Ethernet switch of a test file, controlled over descriptor CONTROL_FD until that ends. */
int switch_command(int argc, char **argv);

#endif
