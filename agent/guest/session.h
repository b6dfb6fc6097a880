#ifndef PROVIUM_SESSION_H
#define PROVIUM_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor.h"
#include "agent.h"
#include "buffer.h"
#include "frame.h"

/**
 * One host that talks to the agent: a connection, or what a serial port carries from one SYNC to the next.
 *
 * Towards the host there are three kinds of output, and none can starve another: `control` (answers of the
 * I/O process, small answers of tasks, pushes) goes first and is bounded by not reading requests while the
 * host does not take answers; then one large answer of a task, sent from the arena; then a round of process
 * output, which is read from the pipes only now, as far as the host has given credit.
 */

struct large_frame {
  bool active;
  struct frame_head head;
  size_t size;
  uint8_t *at;
  size_t missing;
  /** One of these takes the body; with neither the bytes are dropped and the request is refused. */
  struct call *call;
  uint8_t *heap;
};

struct session {
  struct session *next;
  struct agent *agent;
  int64_t id;
  struct watch watch;
  uint32_t watched;
  struct grave grave;

  /** A serial port: it has no connections, so a session begins with SYNC and the port stays open after it. */
  bool serial;
  bool synced;
  int64_t nonce;
  bool closed;
  /** See parking.h. */
  bool parked;
  /** Its host can connect again: parked, it outlives its connection. */
  bool resumable;
  /** Of the PARK that waits until what is being sent has left; -1: none. */
  int64_t park_request;
  /** Ends once what is queued has left. */
  bool closing;
  bool power_off;

  struct buffer in;
  struct large_frame large;

  struct buffer control;
  struct buffer out;
  struct call *answers;
  struct call *sending;
  uint8_t sending_head[FRAME_PREFIX + FRAME_HEAD_MAX];
  size_t sending_head_size;
  /** Of head and payload together. */
  size_t sent;
  /** Nothing more is sent until the channel reports that it takes more. */
  bool blocked;
  /** Bytes sent in this turn of the loop. */
  size_t flushed;
  /**
   * Turns of the loop for which output waits for more of it: the start of a command, its output, its end and
   * its exit leave in one write when it is over within a millisecond. Anything else ends the wait.
   */
  unsigned held;

  /** Told when the session has been closed for good; may be NULL. */
  void (*gone)(struct agent *agent);
};

struct session *session_open(struct agent *agent, int fd, bool serial);
/** Drops the session with all that belongs to it, but for unread input. A serial port waits for the next one. */
void session_drop(struct session *session);
/** Closes the descriptor too. */
void session_close(struct session *session);

/** Queues a frame. */
void session_push(struct session *session, int64_t kind, int64_t actor, int64_t request_id, const struct shape *shape,
                  const void *values);
void session_send_ready(struct session *session, int64_t request_id);
void session_refuse(struct session *session, int64_t actor, int64_t request_id, int error, const char *operation,
                    const char *format, ...) __attribute__((format(printf, 6, 7)));
/** Takes a finished call: queues its answer and frees it when that has left. */
void session_answer(struct call *call);
/** A command was started and its OK is all that is queued: see `held`. */
void session_hold(struct session *session);
/** Sends what can be sent. */
void session_flush(struct session *session);
/** Flushes every session but those on hold, which `waited` out when nothing happened for a while. True: some are. */
bool sessions_flush(struct agent *agent, bool waited);
bool session_idle(const struct session *session);
size_t session_queued(const struct session *session);
void session_broadcast(struct agent *agent, int64_t kind, const struct shape *shape, const void *values);

/** A session whose connection broke while it was parked goes on with that of `fresh`, which ends. */
bool session_adopt(struct session *session, struct session *fresh);

/** In receive.c: reads and serves requests. */
void session_receive(struct session *session, uint32_t events);
/** Drops a large frame of which only a part is there. */
void session_forget_frame(struct session *session);

/** In service.c: what the I/O process answers by itself. */
void service_request(struct session *session, const struct message *message, const struct frame_head *head,
                     struct bytes payload);

#endif
