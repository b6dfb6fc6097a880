#include "disk.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int disk_command(int argc, char **argv) {
  char *end = NULL;
  long fd = argc == 1 ? strtol(argv[0], &end, 10) : -1;
  if (fd < 0 || fd > 1023 || end == argv[0] || *end != '\0') {
    fputs("usage: provium-helper disk CONTROL_FD\n", stderr);
    return 2;
  }
  /* A limit on the size of files (RLIMIT_FSIZE) is to fail the write, not to end the disk. */
  signal(SIGXFSZ, SIG_IGN);
  /* splice(2) to a client that has gone. */
  signal(SIGPIPE, SIG_IGN);
  struct disk disk = {.log = {.fd = -1}};
  if (!loop_init(&disk.loop) || !control_open(&disk, (int)fd)) {
    fputs("provium-helper disk: cannot watch its control socket\n", stderr);
    return 1;
  }
  while (!disk.ended) {
    loop_turn(&disk.loop, false);
    control_flush(&disk);
  }
  connections_close(&disk);
  control_close(&disk);
  disk_lose(&disk);
  faults_remove(&disk.faults, -1);
  write_log_stop(&disk.log);
  if (disk.open) image_close(&disk.image);
  for (int i = 0; i < disk.spares; i++) {
    free(disk.spare[i]->memory);
    free(disk.spare[i]);
  }
  loop_end(&disk.loop);
  return 0;
}
