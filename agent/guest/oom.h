#ifndef PROVIUM_OOM_H
#define PROVIUM_OOM_H

/**
 * Whom a guest without memory gives up. The agent: never. A task of it, which has what a test has opened and changed:
 * only when it takes more than half of the memory itself, not for being the largest of many small processes.
 */
enum oom_score { OOM_SCORE_OF_AGENT = -1000, OOM_SCORE_OF_TASKS = -500, OOM_SCORE_OF_COMMANDS = 0 };

/** Sets the calling process's oom_score_adj, best effort. `proc_fd`: a descriptor of /proc, or -1. */
void oom_score_adjust(int proc_fd, enum oom_score score);

#endif
