#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bigendian.h"
#include "fabric.h"
#include "frame.h"
#include "switch_messages.h"

#define BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define READ_AHEAD ((size_t)64 * 1024)
/** Larger than the struct of any message of the table; checked before use. */
#define VALUES_BYTES 256

union ancillary {
  char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
  struct cmsghdr align;
};

static void complain(struct control *control, const char *what) {
  fprintf(stderr, "provium-helper switch: %s\n", what);
  control->ended = true;
}

int control_take_fd(struct control *control) {
  if (control->fd_count == 0) return -1;
  int fd = control->fds[0];
  control->fd_count--;
  memmove(control->fds, control->fds + 1, control->fd_count * sizeof control->fds[0]);
  return fd;
}

static void keep_fds(struct control *control, struct msghdr *message) {
  /* The kernel puts all descriptors of a message under one head. */
  struct cmsghdr *head = CMSG_FIRSTHDR(message);
  if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) return;
  size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; i++) {
    int fd = -1;
    memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
    if (control->fd_count < FDS_MAX) control->fds[control->fd_count++] = fd;
    else close(fd);
  }
}

static void refuse(struct control *control, int64_t id, const struct refusal *refusal) {
  const struct switch_error_fields fields = {
      .errno_ = refusal->error,
      .operation = {.data = (const uint8_t *)refusal->operation, .size = strlen(refusal->operation)},
      .message = {.data = (const uint8_t *)refusal->message, .size = strlen(refusal->message)},
  };
  size_t start = frame_begin(&control->out, SWITCH_MESSAGE_ERROR, 0, id);
  message_encode(&switch_error_fields_shape, &fields, &control->out);
  frame_end(&control->out, start, 0);
}

static void serve(struct control *control, struct bytes body) {
  struct frame_head head;
  if (!frame_read_head(body.data, body.size, &head)) {
    complain(control, "a frame without head");
    return;
  }
  const struct message *message = message_of_kind(switch_message_table, switch_message_table_size, head.kind);
  _Alignas(int64_t) uint8_t fields[VALUES_BYTES] = {0};
  _Alignas(int64_t) uint8_t reply[VALUES_BYTES] = {0};
  if (message == NULL || message->served == SERVED_BY_HOST || message->fields.size > sizeof fields ||
      message->reply.size > sizeof reply) {
    refuse(control, head.request_id, &(struct refusal){0, "frame", "no request has this kind"});
    return;
  }
  struct bytes payload = {.data = body.data + head.payload_offset, .size = body.size - head.payload_offset};
  const char *field = NULL;
  if (!message_decode(&message->fields, payload, fields, &field)) {
    refuse(control, head.request_id, &(struct refusal){0, message->name, field});
    return;
  }
  struct refusal refusal = {0, message->name, ""};
  if (!request_serve(control, head.kind, fields, reply, &refusal)) {
    refuse(control, head.request_id, &refusal);
    return;
  }
  size_t start = frame_begin(&control->out, SWITCH_MESSAGE_OK, 0, head.request_id);
  message_encode(&message->reply, reply, &control->out);
  frame_end(&control->out, start, 0);
}

static void serve_all(struct control *control) {
  while (!control->ended && buffer_length(&control->in) >= FRAME_LENGTH_BYTES) {
    size_t size = (size_t)load_be(buffer_begin(&control->in), FRAME_LENGTH_BYTES);
    if (size == 0 || size > BODY_BYTES_MAX) {
      complain(control, "a frame of impossible length");
      return;
    }
    if (buffer_length(&control->in) - FRAME_LENGTH_BYTES < size) return;
    serve(control, (struct bytes){.data = buffer_begin(&control->in) + FRAME_LENGTH_BYTES, .size = size});
    buffer_consume(&control->in, FRAME_LENGTH_BYTES + size);
  }
}

static void receive(struct control *control) {
  union ancillary ancillary;
  if (!buffer_reserve(&control->in, READ_AHEAD)) {
    complain(control, "no memory for a request");
    return;
  }
  struct iovec part = {.iov_base = buffer_end(&control->in), .iov_len = READ_AHEAD};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary.bytes, .msg_controllen = sizeof ancillary.bytes};
  ssize_t came = recvmsg(control->watch.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (came < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (came <= 0) {
    control->ended = true;
    return;
  }
  keep_fds(control, &message);
  control->in.size += (size_t)came;
  serve_all(control);
}

static void flush(struct control *control) {
  while (!control->ended && buffer_length(&control->out) > 0) {
    ssize_t sent = send(control->watch.fd, buffer_begin(&control->out), buffer_length(&control->out),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) buffer_consume(&control->out, (size_t)sent);
    else if (errno == EAGAIN) break;
    else if (errno != EINTR) control->ended = true;
  }
  if (control->out.failed) complain(control, "answers that nobody reads");
  if (!control->ended)
    loop_rearm(&control->fabric->loop, &control->watch,
               buffer_length(&control->out) > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void ready(void *context, uint32_t events) {
  struct control *control = context;
  if ((events & ~(uint32_t)EPOLLOUT) != 0) receive(control);
  flush(control);
}

bool control_init(struct control *control, struct fabric *fabric, int fd) {
  *control = (struct control){.fabric = fabric};
  control->watch = (struct watch){.fd = -1, .ready = ready, .context = control};
  buffer_init(&control->in, FRAME_LENGTH_BYTES + BODY_BYTES_MAX + READ_AHEAD);
  buffer_init(&control->out, BODY_BYTES_MAX);
  return loop_watch(&fabric->loop, &control->watch, fd, EPOLLIN);
}

void control_end(struct control *control) {
  for (int fd = control_take_fd(control); fd >= 0; fd = control_take_fd(control)) close(fd);
  loop_close(&control->fabric->loop, &control->watch);
  buffer_free(&control->in);
  buffer_free(&control->out);
}
