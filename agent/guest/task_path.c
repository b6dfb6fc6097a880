#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "messages.h"
#include "task.h"

/** Names in the file system: what they are, and making, moving and removing them. */

/** A listing longer than this is answered in parts. */
#define LISTING_BYTES ((size_t)512 * 1024)
#define LISTING_READ ((size_t)32 * 1024)

bool task_stat(struct task *task, struct bytes payload) {
  struct stat_fields request;
  struct stat facts;
  if (!task_decode(task, "STAT", &stat_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL || fstatat(AT_FDCWD, path, &facts, request.follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
    return task_path_error(task, "stat", request.path);
  }
  struct stat_reply reply = {
      .size = facts.st_size,
      .mtime_ns = (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec,
      .perm = facts.st_mode & 07777,
      .type = facts.st_mode & S_IFMT,
      .uid = facts.st_uid,
      .gid = facts.st_gid,
      .ino = (int64_t)facts.st_ino,
      .nlink = (int64_t)facts.st_nlink,
  };
  return task_ok(task, &stat_reply_shape, &reply);
}

/** Layout of what getdents64(2) writes. */
struct linux_dirent64 {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[];
};

/** Some file systems do not say the type: then it is looked up. */
static uint8_t type_of(int fd, const struct linux_dirent64 *entry) {
  struct stat facts;
  if (entry->type != DT_UNKNOWN) return entry->type;
  if (fstatat(fd, entry->name, &facts, AT_SYMLINK_NOFOLLOW) < 0) return DT_UNKNOWN;
  return (uint8_t)((facts.st_mode & S_IFMT) >> 12);
}

struct listing {
  struct buffer names;
  struct buffer types;
  uint32_t count;
};

static void add_entries(struct listing *listing, int fd, const uint8_t *entries, size_t size) {
  size_t at = 0;
  while (at < size) {
    const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(const void *)(entries + at);
    at += entry->size;
    if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
    msgpack_write_bytes(&listing->names, entry->name, strlen(entry->name));
    msgpack_write_int(&listing->types, type_of(fd, entry));
    listing->count++;
  }
}

static struct sequence sequence_of(const struct buffer *buffer, uint32_t count) {
  return (struct sequence){.data = buffer_begin(buffer), .size = buffer_length(buffer), .count = count, .present = true};
}

bool task_listdir(struct task *task, struct bytes payload) {
  struct listdir_fields request;
  if (!task_decode(task, "LISTDIR", &listdir_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL || request.fd > INT32_MAX) return task_path_error(task, "listdir", request.path);
  int fd = request.fd >= 0 ? (int)request.fd : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return task_path_error(task, "listdir", request.path);

  struct listing listing = {0};
  buffer_over(&listing.names, task_memory(task, LISTING_BYTES + LISTING_READ), LISTING_BYTES + LISTING_READ);
  buffer_over(&listing.types, task_memory(task, LISTING_BYTES + LISTING_READ), LISTING_BYTES + LISTING_READ);
  uint8_t *entries = task_memory(task, LISTING_READ);
  long count = 1;
  while (buffer_length(&listing.names) < LISTING_BYTES) {
    count = syscall(SYS_getdents64, fd, entries, LISTING_READ);
    if (count <= 0) break;
    add_entries(&listing, fd, entries, (size_t)count);
  }
  int error = errno;
  if (count <= 0) close(fd);
  if (count < 0) {
    errno = error;
    return task_path_error(task, "listdir", request.path);
  }
  struct listdir_reply reply = {
      .names = sequence_of(&listing.names, listing.count),
      .types = sequence_of(&listing.types, listing.count),
      .fd = count == 0 ? -1 : fd,
  };
  task_reply_room(task, reply.names.size + reply.types.size + 64);
  return task_ok(task, &listdir_reply_shape, &reply);
}

/** One directory; with `tolerant` an existing one is fine. */
static bool make_one(const char *path, int64_t perm, bool tolerant) {
  struct stat facts;
  mode_t mode = perm < 0 ? 0777 : (mode_t)(perm & 07777);
  if (mkdir(path, mode) == 0) return perm < 0 || chmod(path, mode) == 0;
  if (!tolerant || errno != EEXIST) return false;
  if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) return true;
  errno = ENOTDIR;
  return false;
}

static bool make_parents(char *path) {
  for (char *slash = path + 1; *path != '\0' && (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    bool made = make_one(path, -1, true);
    *slash = '/';
    if (!made) return false;
  }
  return true;
}

bool task_mkdir(struct task *task, struct bytes payload) {
  struct mkdir_fields request;
  if (!task_decode(task, "MKDIR", &mkdir_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL || (request.parents && !make_parents(path)) || !make_one(path, request.perm, request.parents)) {
    return task_path_error(task, "mkdir", request.path);
  }
  return task_ok(task, &(struct shape){0}, NULL);
}

bool task_unlink(struct task *task, struct bytes payload) {
  struct unlink_fields request;
  struct stat facts;
  if (!task_decode(task, "UNLINK", &unlink_fields_shape, payload, &request)) return false;
  char *path = task_string(task, request.path);
  if (path == NULL || lstat(path, &facts) < 0) return task_path_error(task, "unlink", request.path);
  int result = S_ISDIR(facts.st_mode) ? rmdir(path) : unlink(path);
  if (result < 0) return task_path_error(task, "unlink", request.path);
  return task_ok(task, &(struct shape){0}, NULL);
}

bool task_rename(struct task *task, struct bytes payload) {
  struct rename_fields request;
  if (!task_decode(task, "RENAME", &rename_fields_shape, payload, &request)) return false;
  char *from = task_string(task, request.from);
  char *to = from != NULL ? task_string(task, request.to) : NULL;
  if (to == NULL || rename(from, to) < 0) return task_path_error(task, "rename", request.from);
  return task_ok(task, &(struct shape){0}, NULL);
}
