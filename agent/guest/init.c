#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "poweroff.h"

static bool same_file(const char *one, const char *other) {
  struct stat first;
  struct stat second;
  return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

static void execute(const char *path, char **argv, char **envp) {
  argv[0] = (char *)path;
  execve(path, argv, envp);
}

void init_execute(const char *named, const char *own, char **argv, char **envp) {
  static const char *const usual[] = {"/init", "/sbin/init", "/etc/init", "/bin/init"};
  if (named != NULL) {
    execute(named, argv, envp);
    fprintf(stderr, "provium: cannot execute init %s: %s; trying the usual ones\n", named, strerror(errno));
  }
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
    if (same_file(usual[i], own)) continue;
    execute(usual[i], argv, envp);
    if (errno != ENOENT) fprintf(stderr, "provium: cannot execute %s: %s\n", usual[i], strerror(errno));
  }
}

_Noreturn void init_stand_in(int proc_fd) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGINT);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGPWR);
  sigprocmask(SIG_SETMASK, &awaited, NULL);
  /* Ctrl-Alt-Del comes as SIGINT then. */
  reboot(RB_DISABLE_CAD);
  for (;;) {
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    int number = sigwaitinfo(&awaited, NULL);
    if (number < 0 || number == SIGCHLD) continue;
    sync();
    if (number == SIGINT) reboot(RB_AUTOBOOT);
    power_off_now(proc_fd);
  }
}
