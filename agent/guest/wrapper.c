#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "cmdline.h"
#include "init.h"
#include "modules.h"
#include "newroot.h"
#include "pseudofs.h"
#include "rootdisk.h"
#include "roottree.h"

/**
 * provium-wrapper, what the kernel executes first (rdinit=): makes the machine ready for the agent, starts
 * it, and becomes the real init. Kernel parameters: provium.init=PATH (none: it stays init itself), provium.mount=0,
 * provium.root=SERIAL (of a disk that holds the root file system), provium.tree=TYPE (the root is a tree of the host,
 * roottree.h), provium.time=SECONDS.NANOSECONDS.
 */

#define AGENT "/sbin/provium-agent"

/** 0, 1 and 2 on the console, also where no /dev is mounted. */
static void open_console(void) {
  int fd = open("/dev/console", O_RDWR | O_NOCTTY);
  if (fd < 0) {
    static const char path[] = "/.provium-console";
    if (mknod(path, S_IFCHR | 0600, makedev(5, 1)) == 0) fd = open(path, O_RDWR | O_NOCTTY);
    unlink(path);
  }
  if (fd < 0) return;
  for (int i = 0; i < 3; i++) {
    if (fd != i) dup2(fd, i);
  }
  if (fd > 2) close(fd);
}

/** The machine's clock has whole seconds: provium.time says what it was, to the nanosecond, when the kernel began. */
static void set_clock(const char *line) {
  char value[40];
  long long seconds = 0;
  long nanoseconds = 0;
  struct timespec now = {0};
  if (!cmdline_value(line, "provium.time", value, sizeof value)) return;
  if (sscanf(value, "%lld.%9ld", &seconds, &nanoseconds) != 2) return;
  clock_gettime(CLOCK_BOOTTIME, &now);
  nanoseconds += now.tv_nsec;
  now.tv_sec += (time_t)seconds + nanoseconds / 1000000000;
  now.tv_nsec = nanoseconds % 1000000000;
  if (clock_settime(CLOCK_REALTIME, &now) < 0) fprintf(stderr, "provium: cannot set the clock: %s\n", strerror(errno));
}

static void mount_pseudo_file_systems(void) {
  static const struct pseudofs *const all[] = {&pseudofs_dev, &pseudofs_proc, &pseudofs_sys};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (pseudofs_mount(all[i]) == MOUNT_FAILED) {
      fprintf(stderr, "provium: cannot mount %s on %s: %s\n", all[i]->type, all[i]->path, strerror(errno));
    }
  }
}

/**
 * Init is busy from its first moment, and who waits for the guest waits for the agent: so it runs first, until
 * it has said READY (session.c). What it forks is not preferred. musl's sched_setscheduler does nothing.
 */
static void prefer(void) {
  struct sched_param lowest = {.sched_priority = 1};
  syscall(SYS_sched_setscheduler, 0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest);
}

/** The root that the profile asks for, where it is not the initramfs. False after it has said what is wrong. */
static bool enter_root(const char *line) {
  char value[32];
  if (cmdline_value(line, "provium.root", value, sizeof value)) return rootdisk_mount(value) == 0 && newroot_enter() == 0;
  if (cmdline_value(line, "provium.tree", value, sizeof value)) return roottree_mount(value) == 0 && newroot_enter() == 0;
  return true;
}

/** The agent is nobody's job and nobody's terminal: a session of its own, errors on the console. */
static void start_agent(int program) {
  static char name[] = "provium-agent";
  char *argv[] = {name, NULL};
  /* A fork that the agent's program comes before: this one goes on to init when that runs. With memory of its own,
     so that the child may do more than vfork(2) lets it. */
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid < 0) fprintf(stderr, "provium: cannot fork the agent: %s\n", strerror(errno));
  if (pid != 0) return;
  setsid();
  int null = open("/dev/null", O_RDWR);
  if (null >= 0) dup2(null, STDIN_FILENO);
  else close(STDIN_FILENO);
  for (int fd = 3; fd < 64; fd++) {
    if (fd != program) close(fd);
  }
  prefer();
  if (chdir("/") == 0) {
    syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
    /* TOMOYO (Debian 11's kernels have it on) looks the program up as /dev/fd/N, which no initramfs has. */
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    execve(path, argv, environ);
  }
  fprintf(stderr, "provium: cannot execute " AGENT ": %s\n", strerror(errno));
  _exit(127);
}

int main(int argc, char **argv) {
  char line[CMDLINE_MAX];
  char named[256];
  char mounting[8];
  (void)argc;
  open_console();
  int proc_fd = pseudofs_open(&pseudofs_proc);
  cmdline_read(proc_fd, line);
  bool mounts = !cmdline_value(line, "provium.mount", mounting, sizeof mounting) || strcmp(mounting, "0") != 0;
  set_clock(line);
  bool has_init = cmdline_value(line, "provium.init", named, sizeof named);
  if (mounts) mount_pseudo_file_systems();
  open_console();
  modules_load();
  cmdline_strip(argv + 1);
  cmdline_strip(environ);
  /* By its descriptor, which outlives a change of the root. */
  int agent = open(AGENT, O_RDONLY | O_CLOEXEC);
  /* The kernel panics when its first program ends, which ends the boot with what has been said. */
  if (!enter_root(line)) return 1;
  start_agent(agent);
  const char *own = argv[0];
  if (!has_init || strcmp(named, "none") != 0) init_execute(has_init ? named : NULL, own, argv, environ);
  init_stand_in(proc_fd);
}
