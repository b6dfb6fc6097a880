#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

int64_t monotonic_ns(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool loop_init(struct loop *loop) {
  *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
  return loop->epoll >= 0;
}

bool loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  watch->fd = fd;
  watch->since = loop->turn;
  watch->registered = epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
  return watch->registered;
}

bool loop_rearm(struct loop *loop, struct watch *watch, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  return watch->fd >= 0 && epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) == 0;
}

void loop_close(struct loop *loop, struct watch *watch) {
  if (watch->fd < 0) return;
  if (watch->registered) epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
  watch->registered = false;
  close(watch->fd);
  watch->fd = -1;
}

void loop_arm(struct loop *loop, struct timer *timer, int64_t delay_ns) {
  loop_disarm(loop, timer);
  int64_t now = monotonic_ns();
  timer->deadline_ns = delay_ns > INT64_MAX - now ? INT64_MAX : now + delay_ns;
  timer->armed = true;
  timer->next = loop->timers;
  loop->timers = timer;
}

void loop_disarm(struct loop *loop, struct timer *timer) {
  if (!timer->armed) return;
  for (struct timer **at = &loop->timers; *at != NULL; at = &(*at)->next) {
    if (*at == timer) {
      *at = timer->next;
      break;
    }
  }
  timer->armed = false;
}

void loop_bury(struct loop *loop, struct grave *grave, void *object) {
  grave->object = object;
  grave->next = loop->graves;
  loop->graves = grave;
}

/** Milliseconds until the next timer, rounded up; -1 without timers. */
static int patience(const struct loop *loop) {
  if (loop->timers == NULL) return -1;
  int64_t first = INT64_MAX;
  for (const struct timer *timer = loop->timers; timer != NULL; timer = timer->next) {
    if (timer->deadline_ns < first) first = timer->deadline_ns;
  }
  int64_t left = first - monotonic_ns();
  if (left <= 0) return 0;
  int64_t milliseconds = left / 1000000 + 1;
  return milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

/** An expired timer may arm or disarm any other: start over after each. */
static void expire(struct loop *loop) {
  if (loop->timers == NULL) return;
  int64_t now = monotonic_ns();
  for (struct timer *timer = loop->timers; timer != NULL;) {
    if (timer->deadline_ns > now) {
      timer = timer->next;
      continue;
    }
    loop_disarm(loop, timer);
    timer->expired(timer->context);
    timer = loop->timers;
  }
}

static void free_graves(struct loop *loop) {
  while (loop->graves != NULL) {
    struct grave *grave = loop->graves;
    loop->graves = grave->next;
    free(grave->object);
  }
}

bool loop_turn(struct loop *loop, bool nap) {
  struct epoll_event events[BATCH];
  int milliseconds = patience(loop);
  if (nap && (milliseconds < 0 || milliseconds > 1)) milliseconds = 1;
  int count = epoll_wait(loop->epoll, events, BATCH, milliseconds);
  loop->turn++;
  for (int i = 0; i < count; i++) {
    struct watch *watch = events[i].data.ptr;
    if (watch->fd >= 0 && watch->since < loop->turn) watch->ready(watch->context, events[i].events);
  }
  expire(loop);
  free_graves(loop);
  return count > 0;
}

void loop_end(struct loop *loop) {
  free_graves(loop);
  close(loop->epoll);
}
