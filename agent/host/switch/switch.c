#include "switch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bridge.h"
#include "control.h"
#include "fabric.h"
#include "switch_messages.h"
#include "tap.h"

static void flush_ports(struct fabric *fabric) {
  while (fabric->dirty != NULL) {
    struct port *port = fabric->dirty;
    fabric->dirty = port->next_dirty;
    port->dirty = false;
    port_flush(port);
  }
}

static void flush_taps(struct fabric *fabric) {
  for (struct bridge *bridge = fabric->bridges; bridge != NULL; bridge = bridge->next) {
    for (struct tap *tap = bridge->taps; tap != NULL; tap = tap->next) tap_flush(tap);
  }
}

/** As many descriptors as the host allows: one for each port and capture. */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int complain(const char *what) {
  fprintf(stderr, "provium-helper switch: %s: %s\n", what, strerror(errno));
  return 1;
}

int switch_command(int argc, char **argv) {
  (void)argv;
  if (argc != 0) {
    fprintf(stderr, "usage: provium-helper switch, with its control socket as descriptor %d\n", CONTROL_FD);
    return 2;
  }
  int status = 0;
  struct control control;
  struct fabric *fabric = calloc(1, sizeof *fabric);
  if (fabric == NULL) return complain("start");
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  raise_limit();
  if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0) {
    status = complain("control socket");
    goto out;
  }
  if (!loop_init(&fabric->loop)) {
    status = complain("epoll");
    goto out;
  }
  if (!schedule_init(&fabric->schedule, &fabric->loop) || !control_init(&control, fabric, CONTROL_FD)) {
    status = complain("start");
    loop_end(&fabric->loop);
    goto out;
  }
  while (!control.ended) {
    loop_turn(&fabric->loop, false);
    schedule_run(&fabric->schedule);
    flush_ports(fabric);
    flush_taps(fabric);
  }
  while (fabric->bridges != NULL) bridge_close(fabric->bridges);
  control_end(&control);
  schedule_end(&fabric->schedule);
  pool_end(&fabric->pool);
  loop_end(&fabric->loop);
out:
  free(fabric);
  return status;
}
