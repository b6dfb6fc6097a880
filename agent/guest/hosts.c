#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "network.h"

/**
 * Our part of the hosts file stands between two marks and is replaced as a whole; the rest is the guest's own.
 * The file is that of PID 1's root, whatever a test has done to the root of a task.
 */

#define ETC "1/root/etc"
#define FRESH ".hosts.provium"
static const char first_mark[] = "# provium: names on the bridges of this test\n";
static const char last_mark[] = "# provium: end\n";
/** A hosts file beyond this is somebody's block list, and still no reason to read without end. */
#define LARGEST ((size_t)16 * 1024 * 1024)

static int read_all(int fd, struct buffer *buffer) {
  for (;;) {
    if (!buffer_reserve(buffer, 4096)) return -EFBIG;
    ssize_t size = read(fd, buffer_end(buffer), 4096);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return -errno;
    if (size == 0) return 0;
    buffer->size += (size_t)size;
  }
}

static int write_all(int fd, const uint8_t *data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -errno;
    data += written;
    size -= (size_t)written;
  }
  return 0;
}

/** Appends what stands outside of our marks. */
static void keep_foreign(struct buffer *into, const struct buffer *old) {
  const uint8_t *at = old->data;
  size_t size = old->size;
  const uint8_t *first = size == 0 ? NULL : memmem(at, size, first_mark, sizeof first_mark - 1);
  const uint8_t *last = NULL;
  if (first != NULL) last = memmem(first, size - (size_t)(first - at), last_mark, sizeof last_mark - 1);
  if (last == NULL) {
    if (size > 0) buffer_append(into, at, size);
  } else {
    const uint8_t *behind = last + sizeof last_mark - 1;
    buffer_append(into, at, (size_t)(first - at));
    buffer_append(into, behind, (size_t)(at + size - behind));
  }
  if (into->size > 0 && into->data[into->size - 1] != '\n') buffer_append_byte(into, '\n');
}

/** Written beside and renamed: nobody ever reads half a file. */
static int replace(int etc, const struct buffer *text, mode_t mode) {
  int fd = openat(etc, FRESH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return -errno;
  int error = write_all(fd, text->data, text->size);
  if (error == 0 && fchmod(fd, mode) < 0) error = -errno;
  close(fd);
  if (error == 0 && renameat(etc, FRESH, etc, "hosts") < 0) error = -errno;
  if (error != 0) unlinkat(etc, FRESH, 0);
  return error;
}

int hosts_replace(int proc_fd, struct bytes text) {
  struct buffer old;
  struct buffer fresh;
  struct stat status = {.st_mode = 0644};
  int error = 0;
  int etc = -1;
  if (proc_fd < 0) return -ENOENT;
  buffer_init(&old, LARGEST);
  buffer_init(&fresh, LARGEST + text.size);
  if (mkdirat(proc_fd, ETC, 0755) < 0 && errno != EEXIST) error = -errno;
  else if ((etc = openat(proc_fd, ETC, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) error = -errno;
  if (error != 0) goto out;
  int fd = openat(etc, "hosts", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) {
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) error = read_all(fd, &old);
    close(fd);
  } else if (errno != ENOENT) error = -errno;
  if (error != 0) goto out;
  keep_foreign(&fresh, &old);
  if (text.size > 0) {
    buffer_append(&fresh, first_mark, sizeof first_mark - 1);
    buffer_append(&fresh, text.data, text.size);
    buffer_append(&fresh, last_mark, sizeof last_mark - 1);
  }
  error = fresh.failed ? -ENOMEM : replace(etc, &fresh, status.st_mode & 07777);
out:
  if (etc >= 0) close(etc);
  buffer_free(&old);
  buffer_free(&fresh);
  return error;
}
