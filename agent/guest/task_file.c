#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bigendian.h"
#include "messages.h"
#include "task.h"

/**
 * Files, in the task's view of the file system. A call that a signal interrupts answers EINTR and is not
 * repeated: the only signal that does that says that nobody waits any more.
 */

enum open_mode {
  OPEN_READ = 1,
  OPEN_WRITE = 2,
  OPEN_CREATE = 4,
  OPEN_TRUNCATE = 8,
  OPEN_APPEND = 16,
  OPEN_EXCLUSIVE = 32,
};

/** Bytes of a data reply beside the data: array head, bin head, a descriptor. */
#define DATA_OVERHEAD 16

static bool fd_error(struct task *task, const char *operation, int64_t fd) {
  int error = errno;
  return task_error(task, error, operation, "descriptor %lld: %s", (long long)fd, strerror(error));
}

static bool valid_fd(int64_t fd) {
  errno = EBADF;
  return fd >= 0 && fd <= INT32_MAX;
}

static bool set_permission(int fd, int64_t perm) { return perm < 0 || fchmod(fd, (mode_t)(perm & 07777)) == 0; }

static mode_t creation_mode(int64_t perm) { return perm < 0 ? 0666 : (mode_t)(perm & 07777); }

/** Reads until `size` bytes or the end of the file. */
static ssize_t read_fully(int fd, uint8_t *target, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t count = read(fd, target + done, size - done);
    if (count < 0) return -1;
    if (count == 0) break;
    done += (size_t)count;
  }
  return (ssize_t)done;
}

/** Writes all of it, at the cursor or at `offset`. Returns what was written before an error, -1 with nothing written. */
static ssize_t write_fully(int fd, const uint8_t *data, size_t size, int64_t offset) {
  size_t done = 0;
  while (done < size) {
    ssize_t count = offset < 0 ? write(fd, data + done, size - done)
                               : pwrite(fd, data + done, size - done, (off_t)(offset + (int64_t)done));
    if (count < 0) return done > 0 ? (ssize_t)done : -1;
    done += (size_t)count;
  }
  return (ssize_t)done;
}

/** Begins a reply whose first field is data of yet unknown size; returns where the data goes. */
static uint8_t *begin_data(struct task *task, uint32_t fields, size_t size, size_t *room) {
  *room = task_reply_room(task, size + DATA_OVERHEAD) - DATA_OVERHEAD;
  msgpack_write_array(&task->reply, fields);
  msgpack_write_bin32(&task->reply, 0);
  return buffer_end(&task->reply);
}

static void end_data(struct task *task, size_t size) {
  store_be(buffer_end(&task->reply) - 4, size, 4);
  task->reply.size += size;
}

/** True at the end of a file that can be asked without losing a byte. */
static bool at_end(int fd, size_t position) {
  uint8_t byte = 0;
  return lseek(fd, 0, SEEK_CUR) == (off_t)position && pread(fd, &byte, 1, (off_t)position) == 0;
}

bool task_file_get(struct task *task, struct bytes payload) {
  struct file_get_fields request;
  size_t room = 0;
  if (!task_decode(task, "FILE_GET", &file_get_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL || request.limit < 0) {
    errno = EINVAL;
    return task_path_error(task, "FILE_GET", request.path);
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return task_path_error(task, "open", request.path);
  struct stat facts;
  if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) {
    close(fd);
    errno = EISDIR;
    return task_path_error(task, "read", request.path);
  }

  size_t wanted = (uint64_t)request.limit < MAX_FRAME_BYTES ? (size_t)request.limit : MAX_FRAME_BYTES;
  uint8_t *target = begin_data(task, 2, wanted, &room);
  if (wanted > room) wanted = room;
  ssize_t count = read_fully(fd, target, wanted);
  if (count < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return task_path_error(task, "read", request.path);
  }
  bool whole = (size_t)count < wanted || at_end(fd, (size_t)count);
  end_data(task, (size_t)count);
  msgpack_write_int(&task->reply, whole ? -1 : fd);
  if (whole) close(fd);
  return true;
}

bool task_file_put(struct task *task, struct bytes payload) {
  struct file_put_fields request;
  if (!task_decode(task, "FILE_PUT", &file_put_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL) return task_path_error(task, "FILE_PUT", request.path);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, creation_mode(request.perm));
  if (fd < 0) return task_path_error(task, "open", request.path);
  const char *operation = "chmod";
  bool done = set_permission(fd, request.perm);
  if (done) {
    operation = "write";
    done = write_fully(fd, request.data.data, request.data.size, -1) == (ssize_t)request.data.size;
  }
  int error = errno;
  if (done && request.more) {
    struct file_put_reply reply = {.fd = fd};
    return task_ok(task, &file_put_reply_shape, &reply);
  }
  if (close(fd) < 0 && done) {
    operation = "close";
    error = errno;
    done = false;
  }
  if (!done) {
    errno = error;
    return task_path_error(task, operation, request.path);
  }
  struct file_put_reply reply = {.fd = -1};
  return task_ok(task, &file_put_reply_shape, &reply);
}

bool task_file_open(struct task *task, struct bytes payload) {
  struct file_open_fields request;
  if (!task_decode(task, "FILE_OPEN", &file_open_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL) return task_path_error(task, "FILE_OPEN", request.path);
  int64_t mode = request.mode;
  if ((mode & ~(int64_t)63) != 0 || (mode & (OPEN_READ | OPEN_WRITE | OPEN_APPEND)) == 0) {
    return task_error(task, EINVAL, "open", "mode %lld has no read, write or append, or unknown bits", (long long)mode);
  }
  bool writes = (mode & (OPEN_WRITE | OPEN_APPEND)) != 0;
  int flags = O_CLOEXEC | O_NOCTTY | (!writes ? O_RDONLY : (mode & OPEN_READ) != 0 ? O_RDWR : O_WRONLY);
  if ((mode & OPEN_CREATE) != 0) flags |= O_CREAT;
  if ((mode & OPEN_TRUNCATE) != 0) flags |= O_TRUNC;
  if ((mode & OPEN_APPEND) != 0) flags |= O_APPEND;
  if ((mode & OPEN_EXCLUSIVE) != 0) flags |= O_EXCL | O_CREAT;
  bool existed = access(path, F_OK) == 0;
  int fd = open(path, flags, creation_mode(request.perm));
  if (fd < 0) return task_path_error(task, "open", request.path);
  if ((flags & O_CREAT) != 0 && !existed && !set_permission(fd, request.perm)) {
    int error = errno;
    close(fd);
    errno = error;
    return task_path_error(task, "chmod", request.path);
  }
  struct file_open_reply reply = {.fd = fd};
  return task_ok(task, &file_open_reply_shape, &reply);
}

bool task_file_read(struct task *task, struct bytes payload) {
  struct file_read_fields request;
  size_t room = 0;
  if (!task_decode(task, "FILE_READ", &file_read_fields_shape, payload, &request)) return false;
  if (!valid_fd(request.fd)) return fd_error(task, "read", request.fd);
  if (request.length < 0 || request.offset < -1) {
    errno = EINVAL;
    return fd_error(task, "read", request.fd);
  }
  size_t wanted = (uint64_t)request.length < MAX_FRAME_BYTES ? (size_t)request.length : MAX_FRAME_BYTES;
  uint8_t *target = begin_data(task, 1, wanted, &room);
  if (wanted > room) wanted = room;
  int fd = (int)request.fd;
  ssize_t count = request.offset < 0 ? read(fd, target, wanted) : pread(fd, target, wanted, (off_t)request.offset);
  if (count < 0) return fd_error(task, "read", request.fd);
  end_data(task, (size_t)count);
  return true;
}

bool task_file_write(struct task *task, struct bytes payload) {
  struct file_write_fields request;
  if (!task_decode(task, "FILE_WRITE", &file_write_fields_shape, payload, &request)) return false;
  if (!valid_fd(request.fd)) return fd_error(task, "write", request.fd);
  if (request.offset < -1) {
    errno = EINVAL;
    return fd_error(task, "write", request.fd);
  }
  ssize_t count = write_fully((int)request.fd, request.data.data, request.data.size, request.offset);
  if (count < 0) return fd_error(task, "write", request.fd);
  struct file_write_reply reply = {.written = count};
  return task_ok(task, &file_write_reply_shape, &reply);
}

bool task_file_seek(struct task *task, struct bytes payload) {
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  struct file_seek_fields request;
  if (!task_decode(task, "FILE_SEEK", &file_seek_fields_shape, payload, &request)) return false;
  if (!valid_fd(request.fd)) return fd_error(task, "seek", request.fd);
  if (request.whence < 0 || request.whence > 2) {
    return task_error(task, EINVAL, "seek", "whence %lld is not 0, 1 or 2", (long long)request.whence);
  }
  off_t position = lseek((int)request.fd, (off_t)request.offset, whences[request.whence]);
  if (position < 0) return fd_error(task, "seek", request.fd);
  struct file_seek_reply reply = {.offset = position};
  return task_ok(task, &file_seek_reply_shape, &reply);
}

bool task_file_close(struct task *task, struct bytes payload) {
  struct file_close_fields request;
  if (!task_decode(task, "FILE_CLOSE", &file_close_fields_shape, payload, &request)) return false;
  if (!valid_fd(request.fd) || close((int)request.fd) < 0) return fd_error(task, "close", request.fd);
  return task_ok(task, &(struct shape){0}, NULL);
}
