#ifndef PROVIUM_INIT_H
#define PROVIUM_INIT_H

/**
 * Executes the guest's real init in this process: the one named, else the usual ones. Returns only when there
 * is none. `named` may be NULL; `own` is the path of this program, which is no init.
 */
void init_execute(const char *named, const char *own, char **argv, char **envp);

/** Being PID 1 without an init: reaps whatever ends, powers off when asked to. */
_Noreturn void init_stand_in(int proc_fd);

#endif
