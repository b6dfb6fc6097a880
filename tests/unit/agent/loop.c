/** `loop`: a watch that changes its descriptor while events are served hears nothing of the old one. Fails with a line. */
#include "loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct loop events;
static struct watch first;
static struct watch second;
static int quiet[2];
static bool replaced;
static int heard_before, heard_after;

static void heard(void *context, uint32_t what) {
  (void)context;
  (void)what;
  if (replaced) heard_after++;
  else heard_before++;
}

/** What an agent does that hears of a task's end and starts the next one, before it hears that the old one hung up. */
static void replace(void *context, uint32_t what) {
  (void)context;
  (void)what;
  loop_close(&events, &first);
  loop_close(&events, &second);
  replaced = loop_watch(&events, &second, quiet[0], EPOLLIN);
}

static int expect(const char *what, int got, int wanted) {
  if (got != wanted) printf("%s: %d, not %d\n", what, got, wanted);
  return got == wanted ? 0 : 1;
}

int main(void) {
  int one[2], two[2];
  if (!loop_init(&events) || pipe(one) < 0 || pipe(two) < 0 || pipe(quiet) < 0) return 2;
  first = (struct watch){.fd = -1, .ready = replace};
  second = (struct watch){.fd = -1, .ready = heard};
  if (!loop_watch(&events, &first, one[0], EPOLLIN) || !loop_watch(&events, &second, two[0], EPOLLIN)) return 2;
  /* The order of the batch is that in which they became ready. */
  close(one[1]);
  close(two[1]);
  loop_turn(&events, false);
  int wrong = expect("replaced", replaced, true) + expect("events before", heard_before, 0) +
              expect("events of the old descriptor", heard_after, 0);
  close(quiet[1]);
  loop_turn(&events, false);
  wrong += expect("events of the new descriptor", heard_after, 1);
  loop_close(&events, &second);
  loop_end(&events);
  return wrong == 0 ? 0 : 1;
}
