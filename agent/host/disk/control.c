#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bigendian.h"
#include "disk.h"
#include "disk_messages.h"
#include "frame.h"

/**
 * The host's orders: frames of the table in src/disk/messages.ts. The host is our own parent, so what breaks the
 * rules ends the process; what cannot be done is answered with ERROR.
 */

#define READ_SIZE ((size_t)256 * 1024)
#define FRAME_MAX ((size_t)16 * 1024 * 1024)
#define OUT_MAX ((size_t)64 * 1024 * 1024)
#define MAX_TRANSFER ((int64_t)8 * 1024 * 1024)
#define MAX_DESCRIPTORS 8

struct control {
  struct disk *disk;
  struct watch watch;
  uint32_t events;
  struct buffer in;
  struct buffer out;
  /** Descriptors that came, for the CONNECTs that follow, in order. */
  int descriptors[MAX_DESCRIPTORS];
  int descriptor_count;
};

static void push(struct control *control, int64_t kind, int64_t id, const struct shape *shape, const void *values) {
  static const struct shape empty = {NULL, 0, 0};
  size_t start = frame_begin(&control->out, kind, 0, id);
  message_encode(shape == NULL ? &empty : shape, values, &control->out);
  frame_end(&control->out, start, 0);
}

static void ok(struct control *control, int64_t id) { push(control, DISK_MESSAGE_OK, id, NULL, NULL); }

static void fail(struct control *control, int64_t id, int error, const char *message, bool injected) {
  struct disk_error_fields fields = {
      .errno_ = error, .message = {(const uint8_t *)message, strlen(message)}, .injected = injected};
  push(control, DISK_MESSAGE_ERROR, id, &disk_error_fields_shape, &fields);
}

/** 0 is OK. */
static void answer(struct control *control, int64_t id, int error) {
  if (error == 0) ok(control, id);
  else fail(control, id, error, "", false);
}

void control_trouble(struct disk *disk, int error, uint64_t offset, bool write) {
  struct disk_trouble_fields fields = {.errno_ = error, .offset = (int64_t)offset, .write = write};
  if (disk->control != NULL) push(disk->control, DISK_MESSAGE_TROUBLE, 0, &disk_trouble_fields_shape, &fields);
}

/** A NUL-terminated copy of a path; NULL without memory. */
static char *text_of(struct bytes bytes) { return strndup((const char *)bytes.data, bytes.size); }

// --- sector calls -------------------------------------------------------------------------------------------

static void transferred(struct request *request) {
  struct control *control = request->owner;
  int64_t id = (int64_t)request->cookie;
  if (request->error != 0) fail(control, id, request->error, "", request->injected);
  else if (request->operation == OPERATION_READ) {
    struct disk_read_reply reply = {.data = {request->data, request->length}};
    push(control, DISK_MESSAGE_OK, id, &disk_read_reply_shape, &reply);
  } else ok(control, id);
  request_free(request);
}

static void transfer(struct control *control, int64_t id, enum operation operation, int64_t offset,
                     struct bytes data) {
  struct disk *disk = control->disk;
  int error = offset < 0 || data.size > (size_t)MAX_TRANSFER
                  ? EINVAL
                  : disk_check(disk, operation, (uint64_t)offset, data.size);
  struct request *request = error != 0 ? NULL : request_new(disk, operation, (uint64_t)offset, (uint32_t)data.size);
  if (request == NULL) {
    answer(control, id, error != 0 ? error : ENOMEM);
    return;
  }
  if (operation == OPERATION_WRITE) memcpy(request->data, data.data, data.size);
  request->owner = control;
  request->cookie = (uint64_t)id;
  request->done = transferred;
  request_submit(request);
}

static void serve_read(struct control *control, int64_t id, const void *payload) {
  const struct disk_read_fields *fields = payload;
  size_t length = fields->length < 0 ? SIZE_MAX : (size_t)fields->length;
  transfer(control, id, OPERATION_READ, fields->offset, (struct bytes){.data = NULL, .size = length});
}

static void serve_write(struct control *control, int64_t id, const void *payload) {
  const struct disk_write_fields *fields = payload;
  transfer(control, id, OPERATION_WRITE, fields->offset, fields->data);
}

static void serve_flush(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  transfer(control, id, OPERATION_FLUSH, 0, (struct bytes){.data = NULL, .size = 0});
}

// --- the image ----------------------------------------------------------------------------------------------

static char **arguments_of(const struct sequence *list) {
  struct reader reader = sequence_reader(list);
  char **argv = calloc((size_t)list->count + 1, sizeof *argv);
  for (uint32_t i = 0; argv != NULL && i < list->count; i++) {
    struct bytes bytes = {NULL, 0};
    if (!msgpack_read_bytes(&reader, &bytes) || (argv[i] = text_of(bytes)) == NULL) {
      while (i > 0) free(argv[--i]);
      free(argv);
      return NULL;
    }
  }
  return argv;
}

static void serve_open(struct control *control, int64_t id, const void *payload) {
  const struct disk_open_fields *fields = payload;
  struct disk *disk = control->disk;
  const char *why = "is open already";
  int error = disk->open ? EINVAL : 0;
  char *path = text_of(fields->path);
  char **argv = fields->daemon.count == 0 ? NULL : arguments_of(&fields->daemon);
  if (path == NULL || (fields->daemon.count > 0 && argv == NULL)) error = ENOMEM;
  disk->image.scratch = fields->scratch;
  if (error == 0)
    error = argv == NULL ? image_open_raw(&disk->image, path, fields->readonly, fields->create, &why)
                         : image_open_daemon(&disk->image, path, argv, fields->readonly, &why);
  if (error != 0) fail(control, id, error, why, false);
  else {
    struct disk_open_reply reply = {.size = (int64_t)disk->image.size};
    disk->open = true;
    push(control, DISK_MESSAGE_OK, id, &disk_open_reply_shape, &reply);
  }
  for (uint32_t i = 0; argv != NULL && i < fields->daemon.count; i++) free(argv[i]);
  free(argv);
  free(path);
}

static void serve_connect(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  if (control->descriptor_count == 0) {
    answer(control, id, EBADF);
    return;
  }
  int fd = control->descriptors[0];
  control->descriptor_count--;
  memmove(control->descriptors, control->descriptors + 1, (size_t)control->descriptor_count * sizeof fd);
  bool taken = connection_open(control->disk, fd);
  if (!taken) close(fd);
  answer(control, id, taken ? 0 : ENOMEM);
}

static void serve_disconnect(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  connections_close(control->disk);
  disk_lose(control->disk);
  ok(control, id);
}

static void serve_resize(struct control *control, int64_t id, const void *payload) {
  const struct disk_resize_fields *fields = payload;
  struct image *image = &control->disk->image;
  int error = fields->size <= 0 || fields->size % SECTOR_SIZE != 0 ? EINVAL : image->readonly ? EPERM : 0;
  if (error == 0) error = image->kind->resize(image, (uint64_t)fields->size);
  answer(control, id, error);
}

static void serve_save(struct control *control, int64_t id, const void *payload) {
  const struct disk_save_fields *fields = payload;
  char *path = text_of(fields->path);
  answer(control, id, path == NULL ? ENOMEM : image_save(&control->disk->image, path));
  free(path);
}

static void serve_load(struct control *control, int64_t id, const void *payload) {
  const struct disk_load_fields *fields = payload;
  struct disk *disk = control->disk;
  char *path = text_of(fields->path);
  const char *why = disk->image.readonly ? "is not for a readonly disk" : "";
  int error = path == NULL ? ENOMEM : disk->image.readonly ? EPERM : image_load(&disk->image, path, &why);
  if (error == 0) {
    disk_lose(disk);
    ok(control, id);
  } else fail(control, id, error, why, false);
  free(path);
}

// --- faults -------------------------------------------------------------------------------------------------

static void serve_fault_set(struct control *control, int64_t id, const void *payload) {
  const struct disk_fault_set_fields *fields = payload;
  bool sane = fields->mode >= 0 && fields->mode < FAULT_MODES && fields->first >= 0 && fields->keep >= 0 &&
              fields->bits >= 1 && fields->delay_ns >= 0 && fields->on_flush >= 0 && fields->on_flush < FLUSH_RULES &&
              fields->fault >= 0;
  if (!sane) {
    answer(control, id, EINVAL);
    return;
  }
  struct fault fault = {
      .number = fields->fault,
      .mode = (enum fault_mode)fields->mode,
      .first = (uint64_t)fields->first,
      .end = fields->end < 0 ? UINT64_MAX : (uint64_t)fields->end,
      .left = fields->times,
      .probability = fields->probability,
      .random = (uint64_t)fields->seed,
      .delay_ns = fields->delay_ns,
      .keep = (uint64_t)fields->keep,
      .bits = fields->bits,
      .on_flush = (enum flush_rule)fields->on_flush,
  };
  answer(control, id, faults_add(&control->disk->faults, &fault) ? 0 : ENOMEM);
}

static void serve_fault_clear(struct control *control, int64_t id, const void *payload) {
  const struct disk_fault_clear_fields *fields = payload;
  faults_remove(&control->disk->faults, fields->fault);
  ok(control, id);
}

static struct sequence sequence_over(const struct buffer *buffer, uint32_t count) {
  return (struct sequence){
      .data = buffer_begin(buffer), .size = buffer_length(buffer), .count = count, .present = true};
}

static void serve_fault_list(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  struct buffer columns[3];
  uint32_t count = 0;
  for (int i = 0; i < 3; i++) buffer_init(&columns[i], FRAME_MAX);
  for (const struct fault *fault = control->disk->faults.rules; fault != NULL; fault = fault->next, count++) {
    msgpack_write_int(&columns[0], fault->number);
    msgpack_write_int(&columns[1], fault->hits);
    msgpack_write_int(&columns[2], fault->left);
  }
  if (columns[0].failed || columns[1].failed || columns[2].failed) answer(control, id, ENOMEM);
  else {
    struct disk_fault_list_reply reply = {.faults = sequence_over(&columns[0], count),
                                          .hits = sequence_over(&columns[1], count),
                                          .left = sequence_over(&columns[2], count)};
    push(control, DISK_MESSAGE_OK, id, &disk_fault_list_reply_shape, &reply);
  }
  for (int i = 0; i < 3; i++) buffer_free(&columns[i]);
}

// --- the write log ------------------------------------------------------------------------------------------

static void serve_log_start(struct control *control, int64_t id, const void *payload) {
  const struct disk_log_start_fields *fields = payload;
  struct disk *disk = control->disk;
  char *base = text_of(fields->base);
  char *path = text_of(fields->log);
  int error = base == NULL || path == NULL ? ENOMEM : 0;
  write_log_stop(&disk->log);
  if (error == 0) error = write_log_start(&disk->log, &disk->image, base, path);
  answer(control, id, error);
  free(base);
  free(path);
}

static void serve_log_stop(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  write_log_stop(&control->disk->log);
  ok(control, id);
}

static void serve_log_state(struct control *control, int64_t id, const void *payload) {
  (void)payload;
  const struct write_log *log = &control->disk->log;
  struct disk_log_state_reply reply = {.writes = log->writes, .flushes = log->flushes};
  if (!write_log_runs(log)) answer(control, id, ENOENT);
  else if (log->error != 0) answer(control, id, log->error);
  else push(control, DISK_MESSAGE_OK, id, &disk_log_state_reply_shape, &reply);
}

static void serve_log_image(struct control *control, int64_t id, const void *payload) {
  const struct disk_log_image_fields *fields = payload;
  const struct write_log *log = &control->disk->log;
  char *path = text_of(fields->path);
  int error = path == NULL ? ENOMEM : !write_log_runs(log) ? ENOENT : 0;
  if (fields->unflushed < 0 || fields->unflushed >= UNFLUSHED_CHOICES) error = EINVAL;
  if (error == 0)
    error =
        write_log_image(log, path, fields->flush, (enum unflushed)fields->unflushed, (uint64_t)fields->seed);
  answer(control, id, error);
  free(path);
}

// --- frames -------------------------------------------------------------------------------------------------

static const struct {
  int64_t kind;
  void (*serve)(struct control *control, int64_t id, const void *payload);
  /** Works before OPEN. */
  bool early;
} services[] = {
    {DISK_MESSAGE_OPEN, serve_open, true},
    {DISK_MESSAGE_CONNECT, serve_connect, false},
    {DISK_MESSAGE_DISCONNECT, serve_disconnect, false},
    {DISK_MESSAGE_READ, serve_read, false},
    {DISK_MESSAGE_WRITE, serve_write, false},
    {DISK_MESSAGE_FLUSH, serve_flush, false},
    {DISK_MESSAGE_RESIZE, serve_resize, false},
    {DISK_MESSAGE_SAVE, serve_save, false},
    {DISK_MESSAGE_LOAD, serve_load, false},
    {DISK_MESSAGE_FAULT_SET, serve_fault_set, false},
    {DISK_MESSAGE_FAULT_CLEAR, serve_fault_clear, false},
    {DISK_MESSAGE_FAULT_LIST, serve_fault_list, false},
    {DISK_MESSAGE_LOG_START, serve_log_start, false},
    {DISK_MESSAGE_LOG_STOP, serve_log_stop, false},
    {DISK_MESSAGE_LOG_STATE, serve_log_state, false},
    {DISK_MESSAGE_LOG_IMAGE, serve_log_image, false},
};

/** Room for the values of any request. */
union payload {
  struct disk_open_fields open;
  struct disk_write_fields write;
  struct disk_fault_set_fields fault;
  struct disk_log_image_fields image;
  uint8_t bytes[512];
};

static bool serve_frame(struct control *control, const uint8_t *body, size_t size) {
  struct frame_head head;
  union payload values;
  const char *field = NULL;
  if (!frame_read_head(body, size, &head)) return false;
  const struct message *message = message_of_kind(disk_message_table, disk_message_table_size, head.kind);
  if (message == NULL || message->served != SERVED_BY_IO || message->fields.size > sizeof values) return false;
  struct bytes payload = {body + head.payload_offset, size - head.payload_offset};
  if (!message_decode(&message->fields, payload, &values, &field)) {
    fail(control, head.request_id, EINVAL, field, false);
    return true;
  }
  for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
    if (services[i].kind != head.kind) continue;
    if (control->disk->open || services[i].early) services[i].serve(control, head.request_id, &values);
    else answer(control, head.request_id, ENXIO);
    return true;
  }
  return false;
}

static bool serve_frames(struct control *control) {
  struct buffer *in = &control->in;
  for (;;) {
    size_t there = buffer_length(in);
    if (there < FRAME_PREFIX) return true;
    size_t size = (size_t)load_be(buffer_begin(in), FRAME_PREFIX);
    if (size > FRAME_MAX) return false;
    if (there < FRAME_PREFIX + size) return true;
    if (!serve_frame(control, buffer_begin(in) + FRAME_PREFIX, size)) return false;
    buffer_consume(in, FRAME_PREFIX + size);
  }
}

static bool flush_out(struct control *control) {
  while (buffer_length(&control->out) > 0) {
    ssize_t n = send(control->watch.fd, buffer_begin(&control->out), buffer_length(&control->out),
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return false;
    buffer_consume(&control->out, (size_t)n);
  }
  return !control->out.failed;
}

static void keep_descriptors(struct control *control, struct msghdr *message) {
  /* One read brings the descriptors of one sendmsg(2) at most. */
  const struct cmsghdr *part = CMSG_FIRSTHDR(message);
  if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) return;
  size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; i++) {
    int fd = -1;
    memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
    if (control->descriptor_count < MAX_DESCRIPTORS) control->descriptors[control->descriptor_count++] = fd;
    else close(fd);
  }
}

/** False: the host is gone. */
static bool pull(struct control *control) {
  union {
    char bytes[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
    struct cmsghdr align;
  } room;
  buffer_compact(&control->in);
  if (!buffer_reserve(&control->in, READ_SIZE)) return false;
  struct iovec part = {buffer_end(&control->in), READ_SIZE};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
  ssize_t n = recvmsg(control->watch.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  keep_descriptors(control, &message);
  control->in.size += (size_t)n;
  return serve_frames(control);
}

static void ready(void *context, uint32_t events) {
  struct control *control = context;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !pull(control)) control->disk->ended = true;
}

bool control_open(struct disk *disk, int fd) {
  struct control *control = calloc(1, sizeof *control);
  if (control == NULL) return false;
  control->disk = disk;
  control->watch = (struct watch){.fd = -1, .ready = ready, .context = control};
  buffer_init(&control->in, FRAME_MAX + FRAME_PREFIX + READ_SIZE);
  buffer_init(&control->out, OUT_MAX);
  disk->control = control;
  control->events = EPOLLIN;
  return loop_watch(&disk->loop, &control->watch, fd, EPOLLIN);
}

void control_flush(struct disk *disk) {
  struct control *control = disk->control;
  if (!flush_out(control)) disk->ended = true;
  uint32_t events = EPOLLIN | (buffer_length(&control->out) > 0 ? EPOLLOUT : 0U);
  if (events == control->events) return;
  control->events = events;
  loop_rearm(&disk->loop, &control->watch, events);
}

void control_close(struct disk *disk) {
  struct control *control = disk->control;
  if (control == NULL) return;
  requests_forget(disk, control);
  loop_close(&disk->loop, &control->watch);
  for (int i = 0; i < control->descriptor_count; i++) close(control->descriptors[i]);
  buffer_free(&control->in);
  buffer_free(&control->out);
  free(control);
  disk->control = NULL;
}
