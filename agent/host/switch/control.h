#ifndef PROVIUM_CONTROL_H
#define PROVIUM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "bytes.h"
#include "loop.h"

/**
 * The runner's end of the switch: requests in, answers out, over the inherited socket. Descriptors that come with a
 * request wait in `fds` until it is served. The switch ends when the runner closes its end, and when what comes is
 * no frame.
 */

/** Descriptors that may wait for their requests; the runner asks one thing at a time. */
#define FDS_MAX 64

struct fabric;

struct control {
  struct watch watch;
  struct fabric *fabric;
  struct buffer in;
  struct buffer out;
  int fds[FDS_MAX];
  unsigned fd_count;
  bool ended;
};

bool control_init(struct control *control, struct fabric *fabric, int fd);
void control_end(struct control *control);
/** The oldest descriptor that has come, now the caller's; -1 when there is none. */
int control_take_fd(struct control *control);

/** Why a request is refused. */
struct refusal {
  int error;
  const char *operation;
  const char *message;
};

/** Serves one request; false, with the reason, when it is refused. The reply goes into `reply` (see requests.c). */
bool request_serve(struct control *control, int64_t kind, const void *fields, void *reply, struct refusal *refusal);

#endif
