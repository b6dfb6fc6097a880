#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/* <linux/fs.h>, which musl does not come with. */
#define FICLONE _IOW(0x94, 9, int)

/** Whole images in and out, holes left out, so that a sparse disk of 4 GiB costs what it holds. */

#define PIECE ((size_t)1024 * 1024)

static bool all_zero(const uint8_t *data, size_t size) {
  return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/** The next stretch of data of a raw file at or after `*from`; `*end` is `*from` when there is none. */
static int next_data(int fd, uint64_t size, uint64_t *from, uint64_t *end) {
  off_t data = lseek(fd, (off_t)*from, SEEK_DATA);
  if (data < 0 && errno == ENXIO) {
    *from = *end = size;
    return 0;
  }
  /* A file system without holes: everything is data. */
  off_t hole = data < 0 ? (off_t)size : lseek(fd, data, SEEK_HOLE);
  if (data < 0) data = (off_t)*from;
  if (hole < 0) return errno;
  *from = (uint64_t)data;
  *end = (uint64_t)hole < size ? (uint64_t)hole : size;
  return 0;
}

/** Copies [from, end) where it is not zero. */
static int copy_range(struct image *source, struct image *target, uint64_t from, uint64_t end, uint8_t *piece) {
  while (from < end) {
    size_t size = end - from < PIECE ? (size_t)(end - from) : PIECE;
    int error = source->kind->read(source, from, piece, size);
    if (error == 0 && !all_zero(piece, size)) error = target->kind->write(target, from, piece, size);
    if (error != 0) return error;
    from += size;
  }
  return 0;
}

/** Copies everything that is not zero into a target that is. */
static int copy_all(struct image *source, struct image *target) {
  int error = 0;
  uint8_t *piece = malloc(PIECE);
  if (piece == NULL) return ENOMEM;
  if (source->daemon > 0) error = copy_range(source, target, 0, source->size, piece);
  else {
    for (uint64_t from = 0; from < source->size && error == 0;) {
      uint64_t end = from;
      error = next_data(source->fd, source->size, &from, &end);
      if (error == 0) error = copy_range(source, target, from, end, piece);
      from = end;
    }
  }
  free(piece);
  return error;
}

int image_save(struct image *image, const char *path) {
  struct image copy = {.scratch = true};
  const char *why = NULL;
  int error = image_open_raw(&copy, path, false, (int64_t)image->size, &why);
  if (error != 0) return error;
  /* Where the file system shares blocks, a copy costs nothing. */
  bool shared = image->daemon == 0 && ioctl(copy.fd, FICLONE, image->fd) == 0;
  if (!shared) error = copy_all(image, &copy);
  image_close(&copy);
  if (error != 0) unlink(path);
  return error;
}

int image_load(struct image *image, const char *path, const char **why) {
  struct image source = {.scratch = true};
  int error = image_open_raw(&source, path, true, -1, why);
  if (error != 0) return error;
  *why = "has another size than the disk";
  error = source.size == image->size ? 0 : EINVAL;
  if (error == 0) *why = "cannot be copied";
  if (error == 0) error = image->kind->zero(image, 0, image->size, true);
  if (error == 0) error = copy_all(&source, image);
  image_close(&source);
  return error;
}
