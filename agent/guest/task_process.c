#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "messages.h"
#include "oom.h"
#include "task.h"

/**
 * Starting commands. The command is cloned with CLONE_PARENT, so that it has this task's identity but the I/O
 * process as its parent, and with CLONE_VM | CLONE_VFORK: no page table is copied, and when clone returns the
 * command has executed its program or left the reason why not in the arena.
 */

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CHILD_STACK ((size_t)64 * 1024)

enum step { STEP_NONE, STEP_DESCRIPTORS, STEP_DIRECTORY, STEP_EXECUTE };

struct launch {
  char **argv;
  char **envp;
  /** What argv[0] may mean, in the order of PATH. */
  char **programs;
  char *directory;
  int stdio[3];
  const struct task *task;
  struct exec_failure *failure;
};

static int fail(const struct launch *launch, enum step step) {
  launch->failure->error = errno;
  launch->failure->step = step;
  _exit(127);
}

static int child(void *argument) {
  struct launch *launch = argument;
  sigset_t none;
  int error = ENOENT;
  if (launch->task->in_guest) oom_score_adjust(launch->task->proc_fd, OOM_SCORE_OF_COMMANDS);
  else prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (!descriptors_place(launch->stdio, 3)) return fail(launch, STEP_DESCRIPTORS);
  if (launch->directory != NULL && chdir(launch->directory) < 0) return fail(launch, STEP_DIRECTORY);
  for (char **program = launch->programs; *program != NULL; program++) {
    execve(*program, launch->argv, launch->envp);
    if (errno == EACCES) error = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR) return fail(launch, STEP_EXECUTE);
  }
  errno = error;
  return fail(launch, STEP_EXECUTE);
}

/** A NULL-terminated vector of strings. */
static char **vector_of(struct task *task, const struct sequence *list) {
  struct reader reader = sequence_reader(list);
  char **vector = task_memory(task, ((size_t)list->count + 1) * sizeof *vector);
  for (uint32_t i = 0; vector != NULL && i < list->count; i++) {
    struct bytes bytes = {0};
    msgpack_read_bytes(&reader, &bytes);
    vector[i] = task_string(task, bytes);
    if (vector[i] == NULL) return NULL;
  }
  return vector;
}

static size_t vector_length(char **vector) {
  size_t length = 0;
  while (vector[length] != NULL) length++;
  return length;
}

/** Length of the name with its `=`; 0 for an entry without one. */
static size_t name_length(const char *entry) {
  const char *equals = strchr(entry, '=');
  return equals == NULL ? 0 : (size_t)(equals - entry) + 1;
}

static void set_entry(char **environment, char *entry) {
  size_t length = name_length(entry);
  char **at = environment;
  while (*at != NULL && (length == 0 || strncmp(*at, entry, length) != 0)) at++;
  *at = entry;
}

static char *path_of(char **environment) {
  for (char **entry = environment; *entry != NULL; entry++) {
    if (strncmp(*entry, "PATH=", 5) == 0) return *entry + 5;
  }
  return NULL;
}

/** The task's own environment with `overlay` laid over it, or the overlay alone. */
static char **environment_of(struct task *task, char **overlay, bool clear) {
  static char default_path[] = "PATH=" DEFAULT_PATH;
  size_t most = vector_length(environ) + vector_length(overlay) + 2;
  char **environment = task_memory(task, most * sizeof *environment);
  if (environment == NULL) return NULL;
  for (char **entry = environ; !clear && *entry != NULL; entry++) set_entry(environment, *entry);
  for (char **entry = overlay; *entry != NULL; entry++) set_entry(environment, *entry);
  if (!clear && path_of(environment) == NULL) set_entry(environment, default_path);
  return environment;
}

static char *join(struct task *task, const char *directory, size_t length, const char *name) {
  char *path = task_memory(task, length + strlen(name) + 2);
  if (path == NULL) return NULL;
  memcpy(path, directory, length);
  if (length > 0) path[length++] = '/';
  memcpy(path + length, name, strlen(name));
  return path;
}

static char **programs_of(struct task *task, char *name, char **environment) {
  const char *path = path_of(environment);
  if (path == NULL) path = DEFAULT_PATH;
  size_t most = 2;
  for (const char *at = path; *at != '\0'; at++) most += *at == ':';
  char **programs = task_memory(task, (most + 1) * sizeof *programs);
  if (programs == NULL) return NULL;
  if (*name == '\0' || strchr(name, '/') != NULL) {
    programs[0] = name;
    return programs;
  }
  for (size_t i = 0;; i++) {
    size_t length = strcspn(path, ":");
    programs[i] = join(task, path, length, name);
    if (programs[i] == NULL) return NULL;
    if (path[length] == '\0') return programs;
    path += length + 1;
  }
}

struct pipes {
  int child[3];
  int ours[3];
};

static bool open_pipe(struct pipes *pipes, int number, bool child_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  pipes->child[number] = ends[child_reads ? 0 : 1];
  pipes->ours[number] = ends[child_reads ? 1 : 0];
  return true;
}

static void close_all(int fds[3]) {
  for (int i = 0; i < 3; i++) {
    if (fds[i] >= 0) close(fds[i]);
  }
}

static bool open_pipes(const struct task *task, struct pipes *pipes, bool with_stdin) {
  *pipes = (struct pipes){{-1, -1, -1}, {-1, -1, -1}};
  bool opened = open_pipe(pipes, 1, false) && open_pipe(pipes, 2, false);
  if (opened && (with_stdin || task->null_fd < 0)) opened = open_pipe(pipes, 0, true);
  if (!opened) {
    int error = errno;
    close_all(pipes->child);
    close_all(pipes->ours);
    errno = error;
    return false;
  }
  if (!with_stdin && pipes->ours[0] >= 0) {
    close(pipes->ours[0]);
    pipes->ours[0] = -1;
  }
  return true;
}

void task_free_stack(struct task *task) {
  if (task->child_stack != NULL) munmap(task->child_stack, CHILD_STACK);
  task->child_stack = NULL;
}

static pid_t spawn(struct task *task, struct launch *launch, int *pidfd) {
  if (task->child_stack == NULL) {
    void *memory = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return -1;
    task->child_stack = memory;
  }
  uint8_t *stack = task->child_stack;
  int flags = task_clone_flags(task) | CLONE_VFORK;
  int *mark = task_birth_mark(task, pidfd);
  pid_t pid = clone(child, stack + CHILD_STACK, flags | CLONE_VM, launch, mark);
  /* Some namespaces refuse to share memory with a parent outside of them: then the command gets a copy. */
  if (pid < 0 && errno == EINVAL) pid = clone(child, stack + CHILD_STACK, flags, launch, mark);
  return pid;
}

static bool explain(struct task *task, const struct launch *launch) {
  const char *text = strerror(launch->failure->error);
  int error = launch->failure->error;
  if (launch->failure->step == STEP_DIRECTORY) {
    return task_error(task, error, "chdir", "cannot enter `%.300s`: %s", launch->directory, text);
  }
  if (launch->failure->step == STEP_EXECUTE) {
    return task_error(task, error, "exec", "cannot execute `%.300s`: %s", launch->argv[0], text);
  }
  return task_error(task, error, "exec", "cannot set up the descriptors of `%.300s`: %s", launch->argv[0], text);
}

bool task_proc_start(struct task *task, struct bytes payload) {
  struct proc_start_fields request;
  struct pipes pipes;
  if (!task_decode(task, "PROC_START", &proc_start_fields_shape, payload, &request)) return false;
  if (request.argv.count == 0) return task_error(task, EINVAL, "exec", "`argv` is empty");

  struct launch launch = {.task = task};
  launch.failure = &((struct arena_page *)(void *)task->arena)->exec_failure;
  *launch.failure = (struct exec_failure){0};
  launch.argv = vector_of(task, &request.argv);
  char **overlay = launch.argv != NULL ? vector_of(task, &request.env) : NULL;
  launch.envp = overlay != NULL ? environment_of(task, overlay, request.env_clear) : NULL;
  launch.programs = launch.envp != NULL ? programs_of(task, launch.argv[0], launch.envp) : NULL;
  if (request.cwd.data != NULL && launch.programs != NULL) launch.directory = task_string(task, request.cwd);
  if (launch.programs == NULL || (request.cwd.data != NULL && launch.directory == NULL)) {
    return task_error(task, errno, "exec", "arguments, environment or cwd: %s",
                      errno == EINVAL ? "a NUL byte is inside" : strerror(errno));
  }
  if (!open_pipes(task, &pipes, request.stdin_open || request.stdin.size > 0)) {
    return task_error(task, errno, "pipe", "no pipes for `%.300s`: %s", launch.argv[0], strerror(errno));
  }
  memcpy(launch.stdio, pipes.child, sizeof launch.stdio);
  if (launch.stdio[0] < 0) launch.stdio[0] = task->null_fd;

  int pidfd = -1;
  pid_t pid = spawn(task, &launch, &pidfd);
  int error = errno;
  close_all(pipes.child);
  if (pid < 0 || launch.failure->step != STEP_NONE) close_all(pipes.ours);
  if (launch.failure->step != STEP_NONE && pidfd >= 0) close(pidfd);
  if (pid < 0) return task_error(task, error, "clone", "%s", task_clone_error(error));
  if (launch.failure->step != STEP_NONE) return explain(task, &launch);

  task_pass(task, pipes.ours[1], PASSED_STDOUT);
  task_pass(task, pipes.ours[2], PASSED_STDERR);
  task_pass(task, pipes.ours[0], PASSED_STDIN);
  task_pass(task, pidfd, PASSED_PIDFD);
  task->passed_pid = pid;
  struct proc_start_reply reply = {.pid = pid};
  return task_ok(task, &proc_start_reply_shape, &reply);
}
