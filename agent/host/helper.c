#include <stdio.h>
#include <string.h>

#include "disk/disk_command.h"
#include "exec.h"
#include "netns.h"
#include "readonly.h"
#include "switch/switch.h"
#include "tsc.h"

/** provium-helper: small jobs on the host that need C. One subcommand each, in a file of its own. */

struct subcommand {
  const char *name;
  int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"disk", disk_command},
    {"exec", exec_command},
    {"netns", netns_command},
    {"readonly", readonly_command},
    {"switch", switch_command},
    {"tsc", tsc_command},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof subcommands / sizeof subcommands[0]; i++) {
    if (strcmp(argv[1], subcommands[i].name) == 0) return subcommands[i].run(argc - 2, argv + 2);
  }
  fputs("usage: provium-helper exec [--parent PID] [--ask] [--batch] [--as UID:GID,...] [--] PROGRAM ARGUMENTS...\n"
        "       provium-helper netns hold|enter|tap|capture ...\n"
        "       provium-helper readonly [--] PROGRAM ARGUMENTS...\n"
        "       provium-helper switch\n"
        "       provium-helper disk CONTROL_FD\n"
        "       provium-helper tsc\n",
        stderr);
  return 2;
}
