#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frame.h"
#include "messages.h"
#include "pending.h"
#include "rawcall.h"
#include "task.h"

/**
 * Raw system calls and ioctls. Buffers are copied into the task's memory, so that their alignment and their
 * neighbours are the same each time; the kernel judges addresses, a bad one gives EFAULT and no crash.
 */

static bool copy_buffers(struct task *task, const struct sequence *list, struct buffers *buffers) {
  struct reader reader = sequence_reader(list);
  *buffers = (struct buffers){.count = list->count};
  buffers->items = task_memory(task, (size_t)list->count * sizeof *buffers->items);
  if (buffers->items == NULL) return false;
  for (uint32_t i = 0; i < list->count; i++) {
    struct bytes bytes = {0};
    msgpack_read_bytes(&reader, &bytes);
    uint8_t *copy = task_memory(task, bytes.size > 0 ? bytes.size : 1);
    if (copy == NULL) return false;
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    buffers->items[i].data = copy;
    buffers->items[i].size = bytes.size;
  }
  return true;
}

/** Writes the address of a buffer at a byte offset of a span. */
static bool patch(const struct span *parent, int64_t offset, const uint8_t *address) {
  uint64_t word = (uintptr_t)address;
  if (offset < 0 || parent->size < sizeof word || (uint64_t)offset > parent->size - sizeof word) return false;
  memcpy(parent->data + offset, &word, sizeof word);
  return true;
}

static size_t encoded_size(const struct buffers *buffers) {
  size_t size = 64;
  for (uint32_t i = 0; i < buffers->count; i++) size += buffers->items[i].size + MSGPACK_BIN32_HEAD;
  return size;
}

static void write_buffers(struct buffer *reply, const struct buffers *buffers) {
  msgpack_write_array(reply, buffers->count);
  for (uint32_t i = 0; i < buffers->count; i++) {
    msgpack_write_bytes(reply, buffers->items[i].data, buffers->items[i].size);
  }
}

static bool finish(struct task *task, const char *operation) {
  if (!task->reply.failed) return true;
  return task_error(task, EMSGSIZE, operation, "the buffers do not fit into one frame");
}

/** Replaces arguments by addresses. NULL on success, else what is wrong. */
static const char *place_pointers(const struct sequence *ptrs, const struct buffers *buffers,
                                  uint64_t arguments[SYSCALL_ARGUMENTS]) {
  struct reader reader = sequence_reader(ptrs);
  if (ptrs->count > buffers->count) return "`ptrs` has more entries than `bufs`";
  for (uint32_t i = 0; i < ptrs->count; i++) {
    int64_t argument = 0;
    msgpack_read_int(&reader, &argument);
    if (argument < -1 || argument >= SYSCALL_ARGUMENTS) return "an entry of `ptrs` is not between -1 and 5";
    if (argument >= 0) arguments[argument] = (uintptr_t)buffers->items[i].data;
  }
  return NULL;
}

static const char *nest(const struct sequence *nested, const struct buffers *buffers) {
  struct reader reader = sequence_reader(nested);
  if (nested->count % 3 != 0) return "`nested` is not made of triples";
  for (uint32_t i = 0; i < nested->count; i += 3) {
    int64_t parent = 0;
    int64_t child = 0;
    int64_t offset = 0;
    msgpack_read_int(&reader, &parent);
    msgpack_read_int(&reader, &child);
    msgpack_read_int(&reader, &offset);
    if (parent < 0 || parent >= buffers->count || child < 0 || child >= buffers->count) {
      return "`nested` names a buffer that is not there";
    }
    if (!patch(&buffers->items[parent], offset, buffers->items[child].data)) {
      return "an offset of `nested` leaves no room for an address in its buffer";
    }
  }
  return NULL;
}

bool prepare_syscall(struct task *task, const struct syscall_fields *request, struct prepared *call) {
  *call = (struct prepared){.number = request->nr};
  if (request->args.count > SYSCALL_ARGUMENTS) {
    return task_error(task, EINVAL, "SYSCALL", "a system call takes at most 6 arguments, got %u", request->args.count);
  }
  struct reader reader = sequence_reader(&request->args);
  for (uint32_t i = 0; i < request->args.count; i++) {
    int64_t word = 0;
    msgpack_read_int(&reader, &word);
    call->arguments[i] = (uint64_t)word;
  }
  if (!copy_buffers(task, &request->bufs, &call->buffers)) {
    return task_error(task, ENOMEM, "SYSCALL", "the buffers are too large");
  }
  const char *wrong = place_pointers(&request->ptrs, &call->buffers, call->arguments);
  if (wrong == NULL) wrong = nest(&request->nested, &call->buffers);
  if (wrong != NULL) return task_error(task, EINVAL, "SYSCALL", "%s", wrong);
  return true;
}

size_t prepared_size(const struct prepared *call) { return encoded_size(&call->buffers); }

void write_result(struct buffer *reply, const struct prepared *call, int64_t result) {
  msgpack_write_array(reply, 2);
  msgpack_write_int(reply, result);
  write_buffers(reply, &call->buffers);
}

bool task_syscall(struct task *task, struct bytes payload) {
  struct syscall_fields request;
  struct prepared call;
  if (!task_decode(task, "SYSCALL", &syscall_fields_shape, payload, &request)) return false;
  if (!prepare_syscall(task, &request, &call)) return false;
  if (call.number == SYS_execve || call.number == SYS_execveat) task_announce_program(task);
  int64_t result = raw_call(call.number, call.arguments);
  task_reply_room(task, prepared_size(&call));
  write_result(&task->reply, &call, result);
  return finish(task, "SYSCALL");
}

bool task_ioctl(struct task *task, struct bytes payload) {
  struct ioctl_fields request;
  struct buffers buffers;
  struct span data = {0};
  if (!task_decode(task, "IOCTL", &ioctl_fields_shape, payload, &request)) return false;
  if (request.offsets.count != request.bufs.count) {
    return task_error(task, EINVAL, "IOCTL", "`offsets` and `bufs` differ in length");
  }
  if (request.data.data != NULL) {
    data.size = request.data.size;
    data.data = task_memory(task, data.size > 0 ? data.size : 1);
    if (data.data != NULL && data.size > 0) memcpy(data.data, request.data.data, data.size);
  }
  if ((request.data.data != NULL && data.data == NULL) || !copy_buffers(task, &request.bufs, &buffers)) {
    return task_error(task, ENOMEM, "IOCTL", "the buffers are too large");
  }
  struct reader reader = sequence_reader(&request.offsets);
  for (uint32_t i = 0; i < buffers.count; i++) {
    int64_t offset = 0;
    msgpack_read_int(&reader, &offset);
    if (!patch(&data, offset, buffers.items[i].data)) {
      return task_error(task, EINVAL, "IOCTL", "offset %lld leaves no room for an address in `data`", (long long)offset);
    }
  }
  uint64_t pointer = data.data != NULL ? (uintptr_t)data.data : (uint64_t)request.arg;
  uint64_t arguments[SYSCALL_ARGUMENTS] = {(uint64_t)request.fd, (uint64_t)request.request, pointer};
  int64_t result = raw_call(RAW_IOCTL, arguments);

  task_reply_room(task, encoded_size(&buffers) + data.size + MSGPACK_BIN32_HEAD);
  msgpack_write_array(&task->reply, 3);
  msgpack_write_int(&task->reply, result);
  if (data.data != NULL) msgpack_write_bytes(&task->reply, data.data, data.size);
  else msgpack_write_nil(&task->reply);
  write_buffers(&task->reply, &buffers);
  return finish(task, "IOCTL");
}

/** Without CONFIG_CROSS_MEMORY_ATTACH the same bytes come through /proc. */
static ssize_t read_own_memory(const struct task *task, void *target, uint64_t address, size_t length) {
  struct iovec local = {.iov_base = target, .iov_len = length};
  struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};
  ssize_t count = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (count >= 0 || errno != ENOSYS || task->proc_fd < 0) return count;
  int fd = openat(task->proc_fd, "self/mem", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  count = pread(fd, target, length, (off_t)address);
  if (count < 0 && errno == EIO) errno = EFAULT;
  close(fd);
  return count;
}

bool task_read_mem(struct task *task, struct bytes payload) {
  struct read_mem_fields request;
  if (!task_decode(task, "READ_MEM", &read_mem_fields_shape, payload, &request)) return false;
  size_t most = (size_t)MAX_FRAME_BYTES - FRAME_HEAD_MAX - 16;
  if (request.length < 0 || (uint64_t)request.length > most) {
    return task_error(task, EINVAL, "READ_MEM", "length %lld is not between 0 and %zu", (long long)request.length, most);
  }
  size_t length = (size_t)request.length;
  task_reply_room(task, length + 16);
  msgpack_write_array(&task->reply, 1);
  msgpack_write_bin32(&task->reply, (uint32_t)length);
  if (length > 0) {
    ssize_t count = read_own_memory(task, buffer_end(&task->reply), (uint64_t)request.address, length);
    if (count < 0 || (size_t)count < length) {
      int error = count < 0 ? errno : EFAULT;
      return task_error(task, error, "READ_MEM", "cannot read %zu bytes at 0x%llx: %s", length,
                        (unsigned long long)request.address, strerror(error));
    }
    task->reply.size += length;
  }
  return true;
}
