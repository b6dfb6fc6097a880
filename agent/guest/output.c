#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "frame.h"
#include "session.h"

/** Most that one stream sends in its turn. */
#define PIECE ((size_t)64 * 1024)
/** What is collected before it is sent: the commands whose turn did not come are the first next time. */
#define ROUND ((size_t)512 * 1024)
/** A stream that has carried this much gets a larger pipe: fewer switches between the command and the agent. */
#define WIDEN_AFTER ((uint64_t)256 * 1024)
#define WIDE_PIPE (512 * 1024)
#define MAX_CREDIT ((int64_t)1 << 40)

static void stream_ready(void *context, uint32_t events) {
  struct stream *stream = context;
  stream->readable = true;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) stream->hung_up = true;
}

void stream_init(struct process *process, int number, int64_t window) {
  struct stream *stream = &process->streams[number - 1];
  *stream = (struct stream){.process = process, .number = number, .credit = window};
  stream->watch = (struct watch){.fd = -1, .ready = stream_ready, .context = stream};
}

/** It counts as readable until a read says otherwise: that of a short command is never watched at all. */
bool stream_open(struct stream *stream, int fd) {
  stream->ended = fd < 0;
  stream->readable = fd >= 0;
  stream->watch.fd = fd;
  return fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/** From now on what happens to the pipe is an event. */
static bool watch_pipe(struct stream *stream) {
  struct loop *loop = &stream->process->agent->loop;
  return stream->watch.registered || loop_watch(loop, &stream->watch, stream->watch.fd, EPOLLIN | EPOLLET);
}

/** The pipe is empty: the next write to it is an event, and so is its end. */
static void await_more(struct stream *stream) { stream->readable = !watch_pipe(stream); }

static void end_stream(struct stream *stream) {
  loop_close(&stream->process->agent->loop, &stream->watch);
  stream->readable = false;
  stream->ended = true;
}

static size_t begin_data(const struct stream *stream, struct buffer *out) {
  size_t start = frame_begin(out, MESSAGE_DATA, ACTOR_IO, 0);
  msgpack_write_array(out, data_fields_shape.count);
  msgpack_write_int(out, stream->process->handle);
  msgpack_write_int(out, stream->number);
  return start;
}

static void tell_end(const struct stream *stream, struct buffer *out) {
  size_t start = begin_data(stream, out);
  msgpack_write_bytes(out, "", 0);
  msgpack_write_bool(out, true);
  frame_end(out, start, 0);
}

/** Whoever has the other end of the pipe, nothing more is expected of it. */
static bool said_all(const struct stream *stream) { return stream->process->ends_with_exit && !stream->process->running; }

/** The pipe is empty and nobody will write to it again: the end can be told without any credit. */
static bool nothing_left(const struct stream *stream) {
  struct pollfd pipe = {.fd = stream->watch.fd, .events = POLLIN};
  int count = poll(&pipe, 1, 0);
  return count == 1 ? (pipe.revents & POLLIN) == 0 : count == 0 && said_all(stream);
}

/** Reads a piece of the pipe straight into the DATA frame that carries it. */
static void carry(struct stream *stream, struct buffer *out) {
  size_t wanted = stream->credit < (int64_t)PIECE ? (size_t)stream->credit : PIECE;
  if (wanted == 0) {
    if (stream->process->running) return;
    /* Whoever else has the pipe may leave it without another word, and no credit may come before that. */
    watch_pipe(stream);
    if (nothing_left(stream)) {
      end_stream(stream);
      tell_end(stream, out);
    }
    return;
  }
  if (!buffer_reserve(out, wanted + FRAME_PREFIX + FRAME_HEAD_MAX + 64)) return;
  struct buffer before = *out;
  size_t start = begin_data(stream, out);
  size_t size_at = out->size;
  msgpack_write_bin32(out, 0);
  ssize_t count = read(stream->watch.fd, buffer_end(out), wanted);
  if (count <= 0) {
    *out = before;
    bool empty = count < 0 && errno == EAGAIN;
    if (empty && !said_all(stream)) await_more(stream);
    if (count < 0 && (errno == EINTR || (empty && !said_all(stream)))) return;
    end_stream(stream);
    tell_end(stream, out);
    return;
  }
  out->size = size_at;
  msgpack_write_bin32(out, (uint32_t)count);
  out->size += (size_t)count;
  msgpack_write_bool(out, false);
  frame_end(out, start, 0);

  stream->credit -= count;
  stream->carried += (uint64_t)count;
  /* Less than was asked for: the pipe is empty. Until the command has ended that is not its end. */
  if ((size_t)count < wanted && !stream->hung_up && stream->process->running) await_more(stream);
  if (!stream->widened && stream->carried > WIDEN_AFTER) {
    stream->widened = true;
    /* Twice: Linux 5.8 to 6.7 wakes a writer that waits before the new size counts, and then never again. */
    for (int i = 0; i < 2; i++) fcntl(stream->watch.fd, F_SETPIPE_SZ, WIDE_PIPE);
  }
}

/** Turns the list of commands so that `first` is at its front. */
static void begin_with(struct agent *agent, struct process *first) {
  struct process *front = agent->processes;
  struct process **at = &agent->processes;
  if (front == first) return;
  while (*at != first) at = &(*at)->next;
  *at = NULL;
  at = &first->next;
  while (*at != NULL) at = &(*at)->next;
  *at = front;
  agent->processes = first;
}

void process_collect_output(struct session *session, struct buffer *out) {
  struct process *next = NULL;
  for (struct process *process = session->agent->processes; process != NULL; process = next) {
    next = process->next;
    if (process->session != session) continue;
    if (buffer_length(out) >= ROUND) {
      begin_with(session->agent, process);
      return;
    }
    for (int i = 0; i < 2; i++) {
      if (process->streams[i].readable) carry(&process->streams[i], out);
    }
    process_free_when_done(process);
  }
}

void process_credit(struct session *session, const struct credit_fields *request) {
  struct process *process = process_find(session->agent, session, request->process);
  if (process == NULL || request->stream < 1 || request->stream > 2 || request->bytes <= 0) return;
  struct stream *stream = &process->streams[request->stream - 1];
  int64_t room = MAX_CREDIT - stream->credit;
  stream->credit += request->bytes < room ? request->bytes : room;
}
