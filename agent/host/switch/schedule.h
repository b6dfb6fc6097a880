#ifndef PROVIUM_SCHEDULE_H
#define PROVIUM_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"

/**
 * Which pair has a frame due next: a heap of pairs by the time of their first frame, and one timerfd, which has
 * the clock's precision where epoll_wait has milliseconds.
 */

struct pair;

struct schedule {
  struct loop *loop;
  struct watch watch;
  struct pair **heap;
  size_t count;
  /** Pairs that exist, with and without frames. */
  size_t pairs;
  size_t capacity;
  /** What the timerfd is set to; INT64_MAX: nothing. */
  int64_t armed;
};

/** Place of a pair that has nothing due. */
#define UNSCHEDULED SIZE_MAX

bool schedule_init(struct schedule *schedule, struct loop *loop);
/** Makes room for one more pair than there are, so that schedule_move cannot fail. */
bool schedule_reserve(struct schedule *schedule);
/** The pair's due time (pair_due) has changed; INT64_MAX takes it out. */
void schedule_move(struct schedule *schedule, struct pair *pair);
/** Lets every pair deliver what is due. */
void schedule_run(struct schedule *schedule);
void schedule_end(struct schedule *schedule);

#endif
