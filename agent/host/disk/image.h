#ifndef PROVIUM_IMAGE_H
#define PROVIUM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

/**
 * Where the bytes of a disk lie: a raw file, or whatever a qemu-storage-daemon reads for us (qcow2). Every function
 * answers 0 or an errno. A range is inside the image; the caller has checked.
 */

#define SECTOR_SIZE 512

struct image;

struct image_kind {
  int (*read)(struct image *image, uint64_t offset, void *data, size_t size);
  int (*write)(struct image *image, uint64_t offset, const void *data, size_t size);
  /** Zeroes; with `punch` the space may be given back. */
  int (*zero)(struct image *image, uint64_t offset, uint64_t size, bool punch);
  /** The content does not matter any more. Best effort. */
  int (*trim)(struct image *image, uint64_t offset, uint64_t size);
  int (*flush)(struct image *image);
  int (*resize)(struct image *image, uint64_t size);
  void (*close)(struct image *image);
};

struct image {
  const struct image_kind *kind;
  int fd;
  uint64_t size;
  bool readonly;
  /** Nobody wants it after this run: a flush need not reach the host's storage. */
  bool scratch;
  /** The process behind an image that is no raw file, where it listens, its monitor, and our last cookie to it. */
  pid_t daemon;
  struct sockaddr_un address;
  int monitor;
  uint64_t cookie;
};

/** Opens a raw file, or makes a sparse one of `create` bytes when that is not negative. `*why` says more than errno. */
int image_open_raw(struct image *image, const char *path, bool readonly, int64_t create, const char **why);

/**
 * Starts the daemon `argv` with a socket that listens at `path` as descriptor 3 and one end of a socket pair for its
 * monitor as 4, and connects to its export "disk".
 */
int image_open_daemon(struct image *image, const char *path, char *const *argv, bool readonly, const char **why);

void image_close(struct image *image);

/** Locks an open raw image as QEMU does, so that QEMU itself, another of us, or a daemon notices. EAGAIN: somebody has it. */
int image_lock(int fd, bool readonly);

/** Copies the content into a new raw file without its holes. */
int image_save(struct image *image, const char *path);
/** Replaces the content by that of a raw file of the same size. `*why` says more than errno. */
int image_load(struct image *image, const char *path, const char **why);

#endif
