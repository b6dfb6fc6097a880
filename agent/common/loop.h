#ifndef PROVIUM_LOOP_H
#define PROVIUM_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * An event loop: descriptors, timers, and objects that die while events for them may
 * still be in the batch at hand. Watches and timers are embedded in the objects they belong to.
 */

struct watch {
  int fd;
  bool registered;
  /** The turn of the loop in which it was registered. */
  uint64_t since;
  void (*ready)(void *context, uint32_t events);
  void *context;
};

struct timer {
  struct timer *next;
  bool armed;
  int64_t deadline_ns;
  void (*expired)(void *context);
  void *context;
};

/** Put into an object that loop_bury frees once the present batch of events is over. */
struct grave {
  struct grave *next;
  void *object;
};

struct loop {
  int epoll;
  uint64_t turn;
  struct timer *timers;
  struct grave *graves;
};

/** CLOCK_MONOTONIC in nanoseconds. */
int64_t monotonic_ns(void);

bool loop_init(struct loop *loop);
/**
 * Starts watching `fd`, which the watch then owns: loop_close closes it. Events of the batch at hand do not reach it:
 * they are of a descriptor that the same watch had before.
 */
bool loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);
bool loop_rearm(struct loop *loop, struct watch *watch, uint32_t events);
/** Idempotent. No event reaches the watch afterwards, even while a forked task still holds the descriptor. */
void loop_close(struct loop *loop, struct watch *watch);

void loop_arm(struct loop *loop, struct timer *timer, int64_t delay_ns);
void loop_disarm(struct loop *loop, struct timer *timer);

void loop_bury(struct loop *loop, struct grave *grave, void *object);

/** Waits for events and timers and serves them once; with `nap` for a millisecond at most. False when nothing came. */
bool loop_turn(struct loop *loop, bool nap);
/** Frees what is buried. No watch may be in use any more. */
void loop_end(struct loop *loop);

#endif
