#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/* <linux/falloc.h>, which musl does not come with. */
#define FALLOC_FL_ZERO_RANGE 0x10

static int raw_read(struct image *image, uint64_t offset, void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(image->fd, (uint8_t *)data + done, size - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    /* The file has been truncated under us. */
    if (n == 0) return EIO;
    done += (size_t)n;
  }
  return 0;
}

static int raw_write(struct image *image, uint64_t offset, const void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pwrite(image->fd, (const uint8_t *)data + done, size - done, (off_t)(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    done += (size_t)n;
  }
  return 0;
}

static int fallocate_range(int fd, int mode, uint64_t offset, uint64_t size) {
  while (fallocate(fd, mode, (off_t)offset, (off_t)size) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

static int raw_zero(struct image *image, uint64_t offset, uint64_t size, bool punch) {
  static const uint8_t zeroes[64 * 1024];
  int error = EOPNOTSUPP;
  if (punch) error = fallocate_range(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
  if (error != 0) error = fallocate_range(image->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, size);
  if (error == ENOSPC) return error;
  for (uint64_t done = 0; error != 0 && done < size;) {
    size_t piece = size - done < sizeof zeroes ? (size_t)(size - done) : sizeof zeroes;
    int failure = raw_write(image, offset + done, zeroes, piece);
    if (failure != 0) return failure;
    done += piece;
  }
  return 0;
}

static int raw_trim(struct image *image, uint64_t offset, uint64_t size) {
  int error = fallocate_range(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
  return error == EOPNOTSUPP || error == ENODEV ? 0 : error;
}

static int raw_flush(struct image *image) {
  if (image->scratch || image->readonly) return 0;
  return fdatasync(image->fd) == 0 ? 0 : errno;
}

static int raw_resize(struct image *image, uint64_t size) {
  if (ftruncate(image->fd, (off_t)size) < 0) return errno;
  image->size = size;
  return 0;
}

static void raw_close(struct image *image) { close(image->fd); }

static const struct image_kind raw_kind = {raw_read, raw_write, raw_zero, raw_trim, raw_flush, raw_resize, raw_close};

int image_open_raw(struct image *image, const char *path, bool readonly, int64_t create, const char **why) {
  int error = 0;
  struct stat status;
  *why = "cannot be opened";
  int flags = (readonly ? O_RDONLY : O_RDWR) | (create >= 0 ? O_CREAT | O_EXCL : 0) | O_CLOEXEC;
  int fd = open(path, flags, 0600);
  if (fd < 0 || fstat(fd, &status) < 0) {
    error = errno;
    goto out;
  }
  *why = "is no regular file";
  error = S_ISREG(status.st_mode) ? 0 : EINVAL;
  if (error != 0) goto out;
  *why = "is used by somebody else";
  error = image_lock(fd, readonly);
  if (error != 0) goto out;
  *why = "cannot be given its size";
  if (create >= 0 && ftruncate(fd, (off_t)create) < 0) {
    error = errno;
    goto out;
  }
  uint64_t size = create >= 0 ? (uint64_t)create : (uint64_t)status.st_size;
  *why = size == 0 ? "is empty" : "has a size that is no multiple of 512 bytes (is it truncated?)";
  error = size == 0 || size % SECTOR_SIZE != 0 ? EINVAL : 0;
  if (error != 0) goto out;
  *image = (struct image){
      .kind = &raw_kind, .fd = fd, .size = size, .readonly = readonly, .scratch = image->scratch, .monitor = -1};
  return 0;
out:
  if (fd >= 0) close(fd);
  return error;
}

void image_close(struct image *image) {
  if (image->kind != NULL) image->kind->close(image);
  image->kind = NULL;
}
