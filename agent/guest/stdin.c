#include "stdin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "session.h"

#define MAX_CHUNKS 64
#define MAX_BYTES ((size_t)32 * 1024 * 1024)

static void writable(void *context, uint32_t events) {
  (void)events;
  stdin_push(context);
}

void stdin_init(struct process *process, bool keep) {
  process->stdin_watch = (struct watch){.fd = -1, .ready = writable, .context = process};
  process->stdin_keep = keep;
}

bool stdin_queue(struct process *process, int64_t request_id, struct bytes data, bool close) {
  if (process->stdin_chunks >= MAX_CHUNKS || data.size > MAX_BYTES - process->stdin_bytes) return false;
  struct stdin_chunk *chunk = malloc(sizeof *chunk + data.size);
  if (chunk == NULL) return false;
  *chunk = (struct stdin_chunk){.request_id = request_id, .close = close, .size = data.size};
  if (data.size > 0) memcpy(chunk->data, data.data, data.size);
  if (process->stdin_last != NULL) process->stdin_last->next = chunk;
  else process->stdin_first = chunk;
  process->stdin_last = chunk;
  process->stdin_chunks++;
  process->stdin_bytes += data.size;
  return true;
}

/** Takes the first chunk off the queue and answers it. */
static void finish_chunk(struct process *process, int error) {
  struct stdin_chunk *chunk = process->stdin_first;
  struct session *session = process->session;
  process->stdin_first = chunk->next;
  if (process->stdin_first == NULL) process->stdin_last = NULL;
  process->stdin_chunks--;
  process->stdin_bytes -= chunk->size;
  if (chunk->request_id >= 0 && session != NULL) {
    if (error == 0) session_push(session, MESSAGE_OK, ACTOR_IO, chunk->request_id, &(struct shape){0}, NULL);
    else session_refuse(session, ACTOR_IO, chunk->request_id, error, "write", "%s", strerror(error));
  }
  free(chunk);
}

void stdin_end(struct process *process, int error) {
  loop_close(&process->agent->loop, &process->stdin_watch);
  process->stdin_keep = false;
  while (process->stdin_first != NULL) finish_chunk(process, error);
}

void stdin_started(struct process *process, int fd) {
  struct loop *loop = &process->agent->loop;
  if (fd < 0) {
    stdin_end(process, EPIPE);
    return;
  }
  process->stdin_watch.fd = fd;
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || !loop_watch(loop, &process->stdin_watch, fd, EPOLLOUT | EPOLLET)) {
    stdin_end(process, EIO);
    return;
  }
  stdin_push(process);
}

void stdin_push(struct process *process) {
  if (process->stdin_watch.fd < 0) return;
  while (process->stdin_first != NULL) {
    struct stdin_chunk *chunk = process->stdin_first;
    if (chunk->written < chunk->size) {
      ssize_t count = write(process->stdin_watch.fd, chunk->data + chunk->written, chunk->size - chunk->written);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count < 0) {
        stdin_end(process, errno);
        return;
      }
      chunk->written += (size_t)count;
      continue;
    }
    if (chunk->close) process->stdin_keep = false;
    finish_chunk(process, 0);
  }
  if (!process->stdin_keep) stdin_end(process, EPIPE);
}

bool stdin_cancel(struct process *process, int64_t request_id) {
  for (struct stdin_chunk *chunk = process->stdin_first; chunk != NULL; chunk = chunk->next) {
    if (chunk->request_id != request_id) continue;
    session_refuse(process->session, ACTOR_IO, request_id, ECANCELED, "write", "canceled");
    /* Whoever gave up does not know how much of it arrived: what is left is dropped, the order of the rest stays. */
    chunk->request_id = -1;
    chunk->written = chunk->size;
    chunk->close = false;
    stdin_push(process);
    return true;
  }
  return false;
}
