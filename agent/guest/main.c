#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "birth.h"
#include "channels.h"
#include "mailbox.h"
#include "descriptors.h"
#include "guard.h"
#include "listener.h"
#include "messages.h"
#include "network.h"
#include "oom.h"
#include "orphans.h"
#include "privacy.h"
#include "process.h"
#include "pseudofs.h"
#include "reap.h"
#include "restraint.h"
#include "session.h"
#include "signals.h"
#include "strays.h"

/**
 * provium-agent. Without arguments it serves a guest: the virtio-serial port and AF_VSOCK port of the wire
 * table, for ever. The other forms serve a test on the host and end with their session.
 */

#define SECOND ((int64_t)1000000000)

struct options {
  int fd;
  int serial_fd;
  int64_t vsock_port;
  const char *unix_path;
};

static const char usage[] =
    "usage: provium-agent                      serve the guest this runs in\n"
    "       provium-agent --fd N               serve one session over the inherited stream socket N\n"
    "       provium-agent --serial-fd N        the same, as over a serial port (begins with SYNC)\n"
    "       provium-agent --listen-vsock PORT  serve AF_VSOCK connections (0: any port; it is printed)\n"
    "       provium-agent --listen-unix PATH   serve connections to a Unix socket\n"
    "       provium-agent --version\n";

static bool parse_number(const char *text, int64_t *number) {
  char *end = NULL;
  errno = 0;
  *number = strtoll(text, &end, 10);
  return errno == 0 && end != text && *end == '\0' && *number >= 0 && *number <= UINT32_MAX - 1;
}

static bool parse(int argc, char **argv, struct options *options) {
  *options = (struct options){.fd = -1, .serial_fd = -1, .vsock_port = -1};
  if (argc == 1) return true;
  int64_t number = 0;
  if (argc == 3 && strcmp(argv[1], "--listen-unix") == 0) {
    options->unix_path = argv[2];
    return true;
  }
  if (argc != 3 || !parse_number(argv[2], &number)) return false;
  if (strcmp(argv[1], "--fd") == 0) options->fd = (int)number;
  else if (strcmp(argv[1], "--serial-fd") == 0) options->serial_fd = (int)number;
  else if (strcmp(argv[1], "--listen-vsock") == 0) options->vsock_port = number;
  else return false;
  return true;
}

static void signalled(void *context, uint32_t events) {
  struct agent *agent = context;
  struct signalfd_siginfo info;
  (void)events;
  ssize_t got = read(agent->signals.fd, &info, sizeof info);
  if (got < 0 && errno == EAGAIN) return;
  if (got == (ssize_t)sizeof info && info.ssi_signo != SIGCHLD) agent->stopping = true;
  else children_reap(agent);
}

static void mounts_changed(void *context, uint32_t events) {
  struct agent *agent = context;
  (void)events;
  agent->watch_root_until_ns = monotonic_ns() + 10 * SECOND;
}

static bool set_signals(struct agent *agent) {
  sigset_t heard;
  reset_signals();
  signal(SIGPIPE, SIG_IGN);
  /* A task that is being born may be interrupted before it has its handler. */
  signal(INTERRUPT_SIGNAL, SIG_IGN);
  signal(SIGHUP, agent->in_guest ? SIG_IGN : SIG_DFL);
  sigemptyset(&heard);
  sigaddset(&heard, SIGCHLD);
  if (!agent->in_guest) {
    /* An agent of the host takes its commands with it. The kernel sends SIGHUP when the death of its parent
       leaves it behind stopped. */
    sigaddset(&heard, SIGTERM);
    sigaddset(&heard, SIGHUP);
  }
  sigprocmask(SIG_SETMASK, &heard, NULL);
  int fd = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
  agent->signals = (struct watch){.fd = -1, .ready = signalled, .context = agent};
  return fd >= 0 && loop_watch(&agent->loop, &agent->signals, fd, EPOLLIN);
}

/** A change of mounts announces a switch of root: see CALL_CHECK_ROOT. */
static void watch_mounts(struct agent *agent) {
  agent->mounts = (struct watch){.fd = -1, .ready = mounts_changed, .context = agent};
  if (!agent->in_guest || agent->proc_fd < 0) return;
  int fd = openat(agent->proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd >= 0 && !loop_watch(&agent->loop, &agent->mounts, fd, EPOLLPRI | EPOLLET)) loop_close(&agent->loop, &agent->mounts);
}

/** Memory pressure that a test makes must not take the agent away: not killed, not swapped out. */
static void protect(const struct agent *agent) {
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
  if (!agent->in_guest) return;
  oom_score_adjust(agent->proc_fd, OOM_SCORE_OF_AGENT);
  mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

static bool prepare(struct agent *agent, bool in_guest) {
  struct timespec boot = {0};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  *agent = (struct agent){.in_guest = in_guest, .boottime_ns = (int64_t)boot.tv_sec * SECOND + boot.tv_nsec};
  agent->proc_fd = in_guest ? pseudofs_open(&pseudofs_proc) : open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  agent->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (!loop_init(&agent->loop) || !set_signals(agent)) return false;
  if (!in_guest) host_powers_give_up();
  if (!in_guest) orphans_adopt();
  watch_mounts(agent);
  protect(agent);
  agent->main_task = actor_create(agent, ACTOR_MAIN, false);
  return agent->main_task != NULL && actor_start(agent->main_task);
}

static void stop(struct agent *agent) { agent->stopping = true; }

static bool serve_inherited(struct agent *agent, int fd, bool serial) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) return false;
  struct session *session = session_open(agent, fd, serial);
  if (session != NULL) session->gone = stop;
  return session != NULL;
}

static bool open_channels(struct agent *agent, const struct options *options) {
  if (options->fd >= 0) return serve_inherited(agent, options->fd, false);
  if (options->serial_fd >= 0) return serve_inherited(agent, options->serial_fd, true);
  if (options->vsock_port >= 0) {
    int64_t port = vsock_listen_now(agent, (uint32_t)options->vsock_port);
    if (port >= 0) printf("%lld\n", (long long)port);
    return port >= 0 && fflush(stdout) == 0;
  }
  if (options->unix_path != NULL) return unix_listen(agent, options->unix_path);
  return mailbox_open(agent) || (serial_listen(agent) && vsock_listen(agent, AGENT_PORT));
}

static void finish(struct agent *agent) {
  listeners_end(agent);
  while (agent->sessions != NULL) {
    agent->sessions->gone = NULL;
    session_close(agent->sessions);
  }
  network_abandon(agent);
  processes_abandon(agent);
  while (agent->actors != NULL) actor_destroy(agent->actors);
  strays_end(agent, NULL);
  if (!agent->in_guest) orphans_end(agent->proc_fd);
  loop_end(&agent->loop);
}

int main(int argc, char **argv) {
  struct agent agent;
  struct options options;
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    printf("provium-agent %s protocol %d\n", AGENT_VERSION, PROTOCOL_VERSION);
    return 0;
  }
  if (!parse(argc, argv, &options)) {
    fputs(usage, stderr);
    return 2;
  }
  bool in_guest = argc == 1;
  descriptors_fill_standard();
  if (!in_guest) {
    mounts_keep_private();
    guard_stand();
  }
  if (!prepare(&agent, in_guest) || !open_channels(&agent, &options)) {
    fprintf(stderr, "provium-agent: cannot start: %s\n", strerror(errno));
    return 1;
  }
  bool waited = false;
  for (;;) {
    bool holding = sessions_flush(&agent, waited);
    if (agent.stopping) break;
    waited = !loop_turn(&agent.loop, holding);
  }
  finish(&agent);
  return 0;
}
