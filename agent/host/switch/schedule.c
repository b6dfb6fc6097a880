#include "schedule.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pair.h"

static void put(struct schedule *schedule, size_t at, struct pair *pair) {
  schedule->heap[at] = pair;
  pair->place = at;
}

static void sink(struct schedule *schedule, size_t at) {
  struct pair *pair = schedule->heap[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= schedule->count) break;
    if (child + 1 < schedule->count && pair_due(schedule->heap[child + 1]) < pair_due(schedule->heap[child])) child++;
    if (pair_due(schedule->heap[child]) >= pair_due(pair)) break;
    put(schedule, at, schedule->heap[child]);
    at = child;
  }
  put(schedule, at, pair);
}

static void rise(struct schedule *schedule, size_t at) {
  struct pair *pair = schedule->heap[at];
  while (at > 0) {
    size_t parent = (at - 1) / 2;
    if (pair_due(schedule->heap[parent]) <= pair_due(pair)) break;
    put(schedule, at, schedule->heap[parent]);
    at = parent;
  }
  put(schedule, at, pair);
}

static void take_out(struct schedule *schedule, struct pair *pair) {
  size_t at = pair->place;
  pair->place = UNSCHEDULED;
  struct pair *last = schedule->heap[--schedule->count];
  if (last == pair) return;
  put(schedule, at, last);
  sink(schedule, at);
  rise(schedule, last->place);
}

static void expired(void *context, uint32_t events) {
  struct schedule *schedule = context;
  uint64_t count = 0;
  (void)events;
  /* What is due is delivered at the end of the turn; here only the descriptor falls silent. */
  if (read(schedule->watch.fd, &count, sizeof count) == (ssize_t)sizeof count) schedule->armed = INT64_MAX;
}

static void arm(struct schedule *schedule) {
  int64_t first = schedule->count == 0 ? INT64_MAX : pair_due(schedule->heap[0]);
  if (first == schedule->armed) return;
  struct itimerspec when = {0};
  if (first != INT64_MAX) {
    when.it_value.tv_sec = first / 1000000000;
    when.it_value.tv_nsec = first % 1000000000;
  }
  if (timerfd_settime(schedule->watch.fd, TFD_TIMER_ABSTIME, &when, NULL) == 0) schedule->armed = first;
}

bool schedule_init(struct schedule *schedule, struct loop *loop) {
  *schedule = (struct schedule){.loop = loop, .armed = INT64_MAX};
  schedule->watch.context = schedule;
  schedule->watch.ready = expired;
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  return fd >= 0 && loop_watch(loop, &schedule->watch, fd, EPOLLIN);
}

bool schedule_reserve(struct schedule *schedule) {
  if (schedule->pairs < schedule->capacity) return true;
  size_t capacity = schedule->capacity == 0 ? 64 : schedule->capacity * 2;
  struct pair **grown = realloc(schedule->heap, capacity * sizeof *grown);
  if (grown == NULL) return false;
  schedule->heap = grown;
  schedule->capacity = capacity;
  return true;
}

void schedule_move(struct schedule *schedule, struct pair *pair) {
  if (pair_due(pair) == INT64_MAX) {
    if (pair->place != UNSCHEDULED) take_out(schedule, pair);
    return;
  }
  if (pair->place == UNSCHEDULED) put(schedule, schedule->count++, pair);
  sink(schedule, pair->place);
  rise(schedule, pair->place);
}

void schedule_run(struct schedule *schedule) {
  if (schedule->count > 0) {
    int64_t now = monotonic_ns();
    while (schedule->count > 0 && pair_due(schedule->heap[0]) <= now) pair_deliver(schedule->heap[0], now);
  }
  arm(schedule);
}

void schedule_end(struct schedule *schedule) {
  loop_close(schedule->loop, &schedule->watch);
  free(schedule->heap);
}
