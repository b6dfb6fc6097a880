#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "messages.h"
#include "task.h"

/** CLOCK_REALTIME in nanoseconds since 1970. */

#define SECOND ((int64_t)1000000000)

static int64_t now_ns(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/** Seconds rounded down, so that the nanoseconds are never negative. */
static struct timespec timespec_of(int64_t ns) {
  int64_t rest = ns % SECOND;
  int64_t seconds = ns / SECOND;
  if (rest < 0) {
    rest += SECOND;
    seconds--;
  }
  return (struct timespec){.tv_sec = seconds, .tv_nsec = (long)rest};
}

bool task_clock_get(struct task *task, struct bytes payload) {
  (void)payload;
  struct clock_get_reply reply = {.ns = now_ns()};
  return task_ok(task, &clock_get_reply_shape, &reply);
}

bool task_clock_set(struct task *task, struct bytes payload) {
  struct clock_set_fields request;
  if (!task_decode(task, "CLOCK_SET", &clock_set_fields_shape, payload, &request)) return false;
  struct timespec time = timespec_of(request.ns);
  if (clock_settime(CLOCK_REALTIME, &time) < 0) {
    return task_error(task, errno, "clock_settime", "cannot set the clock to %lld ns: %s", (long long)request.ns,
                      strerror(errno));
  }
  return task_ok(task, &(struct shape){0}, NULL);
}

/** One step of the kernel, so that no time is lost between reading and setting. */
bool task_clock_advance(struct task *task, struct bytes payload) {
  struct clock_advance_fields request;
  if (!task_decode(task, "CLOCK_ADVANCE", &clock_advance_fields_shape, payload, &request)) return false;
  struct timespec step = timespec_of(request.ns);
  struct timex change = {.modes = ADJ_SETOFFSET | ADJ_NANO};
  change.time.tv_sec = step.tv_sec;
  change.time.tv_usec = step.tv_nsec;
  if (clock_adjtime(CLOCK_REALTIME, &change) < 0) {
    return task_error(task, errno, "clock_adjtime", "cannot move the clock by %lld ns: %s", (long long)request.ns,
                      strerror(errno));
  }
  struct clock_advance_reply reply = {.ns = now_ns()};
  return task_ok(task, &clock_advance_reply_shape, &reply);
}
