#ifndef PROVIUM_OOM_H
#define PROVIUM_OOM_H

/** Sets the calling process's oom_score_adj, best effort. `proc_fd`: a descriptor of /proc, or -1. */
void oom_score_adjust(int proc_fd, int score);

#endif
