#include "mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmdline.h"
#include "descriptors.h"
#include "pseudofs.h"
#include "session.h"

#if defined(__x86_64__)

#include <poll.h>
#include <signal.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/**
 * A process of its own stands between the agent and the host. To the agent it is a connected socket. Whenever the
 * agent has said something, and every few milliseconds of the guest's time, it puts that into the memory that the
 * host shares, rings a bell, and writes to a gate: an I/O instruction that QEMU does not finish before the host lets
 * it. Meanwhile the host takes what is there and leaves what it has to say; in the guest no time has passed. The two
 * gates take turns, so that the host can close one before it opens the other.
 */

/** Where the host plugs the shared memory and, each of them a port of one byte, the bell and the gates. */
#define DEVICE "bus/pci/devices/0000:00:06.0/"
#define BELL_PORT 0x5e0
#define GATE_PORT 0x5e1
#define PORTS 3

/** In step with src/vmm/mailbox.ts. */
#define MEMORY_SIZE ((size_t)1024 * 1024)
#define OUT_AT ((size_t)4096)
#define IN_AT ((size_t)512 * 1024)
#define OUT_MAX (IN_AT - OUT_AT)
#define IN_MAX (MEMORY_SIZE - IN_AT)
#define LOOK_MS 10

struct mailbox {
  /** At which gate the machine stands, or stood last; kept when the guest restarts. */
  uint32_t gate;
  /** Bytes for the host; bytes that it may leave; bytes that it has left. */
  uint32_t out_size;
  uint32_t room;
  uint32_t in_size;
};

static volatile struct mailbox *map(int sys_fd) {
  int enable = openat(sys_fd, DEVICE "enable", O_WRONLY | O_CLOEXEC);
  if (enable < 0) return NULL;
  bool enabled = write(enable, "1", 1) == 1;
  close(enable);
  int fd = enabled ? openat(sys_fd, DEVICE "resource2", O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return NULL;
  void *memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return memory == MAP_FAILED ? NULL : memory;
}

/** What the agent has said, up to `size`; SIZE_MAX when it is gone. */
static size_t collect(int fd, uint8_t *data, size_t size) {
  size_t there = 0;
  while (there < size) {
    ssize_t count = read(fd, data + there, size - there);
    if (count > 0) there += (size_t)count;
    else if (count == 0) return there > 0 ? there : SIZE_MAX;
    else if (errno == EAGAIN) break;
    else if (errno != EINTR) return SIZE_MAX;
  }
  return there;
}

static void carry(int fd, volatile struct mailbox *box) {
  uint8_t *out = (uint8_t *)(uintptr_t)box + OUT_AT;
  const uint8_t *in = (const uint8_t *)(uintptr_t)box + IN_AT;
  size_t at = 0;
  size_t end = 0;
  for (;;) {
    struct pollfd agent = {.fd = fd, .events = (short)(POLLIN | (at < end ? POLLOUT : 0))};
    poll(&agent, 1, LOOK_MS);
    ssize_t taken = at < end ? write(fd, in + at, end - at) : 0;
    if (taken > 0) at += (size_t)taken;
    size_t size = collect(fd, out, OUT_MAX);
    if (size == SIZE_MAX) return;
    box->out_size = (uint32_t)size;
    box->room = at < end ? 0 : (uint32_t)IN_MAX;
    box->in_size = 0;
    uint32_t gate = 1 - (box->gate & 1);
    box->gate = gate;
    __sync_synchronize();
    outb(0, BELL_PORT);
    outb(0, (unsigned short)(GATE_PORT + gate));
    __sync_synchronize();
    if (at < end) continue;
    at = 0;
    end = box->in_size;
    taken = end > 0 ? write(fd, in, end) : 0;
    if (taken > 0) at = (size_t)taken;
  }
}

static _Noreturn void carrier(int fd, volatile struct mailbox *box) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "provium-mailbox");
  signal(SIGPIPE, SIG_IGN);
  if (fd > 3) descriptors_close(3, (unsigned)fd - 1);
  descriptors_close((unsigned)fd + 1, ~0U);
  if (ioperm(BELL_PORT, PORTS, 1) == 0) carry(fd, box);
  else fprintf(stderr, "provium-agent: cannot reach the mailbox's gates: %s\n", strerror(errno));
  _exit(1);
}

static bool wanted(const struct agent *agent) {
  char line[CMDLINE_MAX];
  char value[8];
  cmdline_read(agent->proc_fd, line);
  return cmdline_value(line, "provium.mailbox", value, sizeof value) && strcmp(value, "1") == 0;
}

bool mailbox_open(struct agent *agent) {
  int ends[2] = {-1, -1};
  if (!wanted(agent)) return false;
  int sys_fd = pseudofs_open(&pseudofs_sys);
  volatile struct mailbox *box = sys_fd < 0 ? NULL : map(sys_fd);
  if (sys_fd >= 0) close(sys_fd);
  if (box == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    fprintf(stderr, "provium-agent: no mailbox: %s\n", strerror(errno));
    return false;
  }
  pid_t pid = fork();
  if (pid == 0) carrier(ends[1], box);
  munmap((void *)(uintptr_t)box, MEMORY_SIZE);
  close(ends[1]);
  if (pid > 0) return session_open(agent, ends[0], false) != NULL;
  close(ends[0]);
  return false;
}

#else

/** Ports are of PCs. */
bool mailbox_open(struct agent *agent) {
  (void)agent;
  return false;
}

#endif
