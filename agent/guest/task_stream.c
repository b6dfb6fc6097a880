#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "messages.h"
#include "tail.h"
#include "task.h"

/**
 * Streams out of files and descriptors. Their reader is a copy of this task (its view of the file system, its
 * identity) and a child of the I/O process, which has the pipe.
 */

struct source {
  int fd;
  off_t offset;
  int directory;
  const char *name;
  /** A regular file, which is followed; anything else is read to its end. */
  bool followed;
};

static _Noreturn void reader(const struct task *task, const struct source *source, int output) {
  sigset_t none;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "provium-stream");
  setsid();
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int fds[] = {task->null_fd, output, task->null_fd, source->fd, source->directory, task->proc_fd};
  int count = sizeof fds / sizeof fds[0];
  if (!descriptors_place(fds, count)) _exit(EMFILE);
  descriptors_close((unsigned)count, ~0U);
  if (!source->followed) copy_run(3);
  struct tail tail = {
      .file = 3,
      .offset = source->offset,
      .directory = source->directory >= 0 ? 4 : -1,
      .name = source->name,
      .proc_fd = task->proc_fd >= 0 ? 5 : -1,
  };
  tail_run(&tail);
}

static bool start(struct task *task, const struct source *source, const char *operation) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return task_error(task, errno, operation, "no pipe: %s", strerror(errno));
  int pidfd = -1;
  long pid = task_fork(task, &pidfd);
  if (pid == 0) reader(task, source, ends[1]);
  int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return task_error(task, error, operation, "%s", task_clone_error(error));
  }
  task_pass(task, ends[0], PASSED_STDOUT);
  task_pass(task, pidfd, PASSED_PIDFD);
  task->passed_pid = (int32_t)pid;
  struct tail_start_reply reply = {.pid = pid};
  return task_ok(task, &tail_start_reply_shape, &reply);
}

/** The directory that has the name, and the name alone: what a file that replaces this one is found by. */
static void find_name(struct source *source, char *path) {
  char *slash = strrchr(path, '/');
  source->name = slash == NULL ? path : slash + 1;
  if (slash == path) {
    source->directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return;
  }
  if (slash != NULL) *slash = '\0';
  source->directory = open(slash == NULL ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static off_t first_offset(const struct tail_start_fields *request, off_t size) {
  if (request->from_end) return size;
  if (request->start < 0) return request->start < -size ? 0 : size + (off_t)request->start;
  return request->start < size ? (off_t)request->start : size;
}

/** By name. What is no regular file is read as it comes. */
static bool open_path(struct task *task, const struct tail_start_fields *request, char *path, struct source *source) {
  struct stat facts;
  source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (source->fd < 0 || fstat(source->fd, &facts) < 0) return task_path_error(task, "open", request->path);
  if (S_ISDIR(facts.st_mode)) {
    errno = EISDIR;
    return task_path_error(task, "open", request->path);
  }
  source->followed = S_ISREG(facts.st_mode);
  if (source->followed) source->offset = first_offset(request, facts.st_size);
  return true;
}

static bool check_readable(struct task *task, int64_t fd, const char *operation) {
  int flags = fd >= 0 && fd <= INT32_MAX ? fcntl((int)fd, F_GETFL) : -1;
  if (flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY) return true;
  return task_error(task, EBADF, operation, flags < 0 ? "descriptor %lld is not open" : "descriptor %lld is not open for reading",
                    (long long)fd);
}

/** An open file from its cursor, which is not moved. */
static bool take_descriptor(struct task *task, const struct tail_start_fields *request, struct source *source) {
  struct stat facts;
  if (!check_readable(task, request->fd, "tail")) return false;
  int fd = (int)request->fd;
  source->fd = fd;
  source->followed = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
  off_t cursor = lseek(fd, 0, SEEK_CUR);
  source->offset = cursor < 0 ? 0 : cursor;
  return true;
}

bool task_tail_start(struct task *task, struct bytes payload) {
  struct tail_start_fields request;
  struct source source = {.fd = -1, .directory = -1};
  if (!task_decode(task, "TAIL_START", &tail_start_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL) return task_path_error(task, "TAIL_START", request.path);
  bool by_name = request.fd < 0;
  bool opened = by_name ? open_path(task, &request, path, &source) : take_descriptor(task, &request, &source);
  if (opened && source.followed && *path != '\0') find_name(&source, path);
  opened = opened && start(task, &source, "tail");
  if (by_name && source.fd >= 0) close(source.fd);
  if (source.directory >= 0) close(source.directory);
  return opened;
}

bool task_fd_stream_start(struct task *task, struct bytes payload) {
  struct fd_stream_start_fields request;
  if (!task_decode(task, "FD_STREAM_START", &fd_stream_start_fields_shape, payload, &request)) return false;
  if (!check_readable(task, request.fd, "read")) return false;
  struct source source = {.fd = (int)request.fd, .directory = -1};
  return start(task, &source, "read");
}
