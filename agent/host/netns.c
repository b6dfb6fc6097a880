#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userns.h"
#include "write_file.h"

static const char usage[] = "usage: provium-helper netns hold\n"
                            "       provium-helper netns enter PID PROGRAM ARGUMENTS...\n"
                            "       provium-helper netns tap PID NAME SOCKET\n"
                            "       provium-helper netns capture PID NAME DESCRIPTOR\n";

static int complain(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 1;
}

static bool loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  if (fd >= 0) close(fd);
  return up;
}

/** Settings of a fresh namespace that would make themselves felt between guests; none of them exists everywhere. */
static void keep_quiet(void) {
  static const char *const settings[][2] = {
      /* Ports of bridges say nothing in IPv6; the bridges, where they have an address, pass it on. */
      {"/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"},
      {"/proc/sys/net/ipv6/conf/all/forwarding", "1"},
      /* Frames between guests are no packets of this host: rules for routed packets do not concern them. */
      {"/proc/sys/net/bridge/bridge-nf-call-iptables", "0"},
      {"/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0"},
      {"/proc/sys/net/bridge/bridge-nf-call-arptables", "0"},
  };
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) write_file(settings[i][0], settings[i][1]);
}

/** Says "ready" once the namespace stands, and holds it until standard input ends. */
static int hold(void) {
  if (!userns_unshare(CLONE_NEWNET)) return complain("unshare(CLONE_NEWNET)");
  if (!loopback_up()) return complain("bring up lo");
  /* Packets pass from one bridge to another only where a rule of the test lets them. */
  if (!write_file("/proc/sys/net/ipv4/ip_forward", "1")) return complain("turn on forwarding");
  keep_quiet();
  if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
  for (;;) {
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) return 0;
  }
}

static bool join(const char *process, const char *kind, int type) {
  char path[64];
  if (snprintf(path, sizeof path, "/proc/%s/ns/%s", process, kind) >= (int)sizeof path) return false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool joined = fd >= 0 && setns(fd, type) == 0;
  if (fd >= 0) close(fd);
  return joined;
}

static bool enter(const char *process) {
  pid_t parent = getppid();
  /* The user namespace is one's own already where the holder did not need another: EINVAL. */
  if (!join(process, "user", CLONE_NEWUSER) && errno != EINVAL) return false;
  if (!join(process, "net", CLONE_NEWNET)) return false;
  /* A change of credentials has undone it: prctl(2). */
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

/** Sends a descriptor over a Unix socket: unix(7). */
static bool send_descriptor(int channel, int fd) {
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof fd)];
  } control = {.space = {0}};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
  control.head.cmsg_level = SOL_SOCKET;
  control.head.cmsg_type = SCM_RIGHTS;
  control.head.cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
  return sendmsg(channel, &message, MSG_NOSIGNAL) == 1;
}

/* <linux/if_tun.h>, which musl does not have. */
#define TUNSETIFF _IOW('T', 202, int)
#define IFF_TAP 0x0002
#define IFF_NO_PI 0x1000

static int tap(const char *name, const char *channel) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  if (strlen(name) >= sizeof request.ifr_name) {
    errno = ENAMETOOLONG;
    return complain(name);
  }
  memcpy(request.ifr_name, name, strlen(name));
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return complain("/dev/net/tun");
  if (ioctl(fd, TUNSETIFF, &request) < 0) return complain("TUNSETIFF");
  return send_descriptor(atoi(channel), fd) ? 0 : complain("sendmsg");
}

int netns_command(int argc, char **argv) {
  if (argc == 1 && strcmp(argv[0], "hold") == 0) return hold();
  bool runs = argc >= 3 && strcmp(argv[0], "enter") == 0;
  bool taps = argc == 4 && strcmp(argv[0], "tap") == 0;
  bool captures = argc == 4 && strcmp(argv[0], "capture") == 0;
  if (!runs && !taps && !captures) {
    fputs(usage, stderr);
    return 2;
  }
  if (!enter(argv[1])) return complain("enter the network namespace");
  if (taps) return tap(argv[2], argv[3]);
  if (captures) return capture_run(argv[2], atoi(argv[3]));
  execvp(argv[2], argv + 2);
  complain(argv[2]);
  return 127;
}
