#ifndef PROVIUM_AGENT_H
#define PROVIUM_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"

struct actor;
struct listener;
struct network_wait;
struct process;
struct session;
struct stray;

/** Everything that the I/O process knows. Passed explicitly; there are no globals. */
struct agent {
  struct loop loop;
  struct listener *listeners;
  struct session *sessions;
  struct process *processes;
  struct stray *strays;
  /** Every task, the main one among them. */
  struct actor *actors;
  struct actor *main_task;
  /** Interfaces that are still to come. */
  struct network_wait *network_waits;

  /** False when it serves a test on the host (--fd, --listen-vsock): nothing is rebooted or re-rooted then. */
  bool in_guest;
  bool stopping;
  /** A READY was made; and, once it is out, the preference that the wrapper gave for the start is over. */
  bool greeted;
  bool settled;
  int64_t boottime_ns;

  /** /proc as the agent sees it, even where nothing is mounted there or the root has moved; -1 without. */
  int proc_fd;
  int null_fd;
  struct watch signals;
  struct watch mounts;
  /** The task compares its root with that of PID 1 before each request until then, else now and then. */
  int64_t watch_root_until_ns;
  int64_t root_checked_ns;

  int64_t next_session;
};

#endif
