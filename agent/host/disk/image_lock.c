#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "image.h"

/**
 * The locks of QEMU's file driver (block/file-posix.c): byte 100+p of the file is read-locked by who uses permission
 * p, byte 200+p by who does not let others use it. Open file description locks fall with the descriptor.
 */

#define USED_BASE 100
#define UNSHARED_BASE 200

enum permission { PERMISSION_READ = 0, PERMISSION_WRITE = 1, PERMISSION_RESIZE = 3, PERMISSIONS = 4 };

static int lock_byte(int fd, off_t byte) {
  struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

static int check_byte(int fd, off_t byte) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return errno;
  return lock.l_type == F_UNLCK ? 0 : EAGAIN;
}

int image_lock(int fd, bool readonly) {
  unsigned used = 1U << PERMISSION_READ;
  unsigned unshared = 1U << PERMISSION_WRITE | 1U << PERMISSION_RESIZE;
  if (!readonly) used |= 1U << PERMISSION_WRITE | 1U << PERMISSION_RESIZE;
  int error = 0;
  for (int p = 0; p < PERMISSIONS && error == 0; p++) {
    if ((used & 1U << p) != 0) error = lock_byte(fd, USED_BASE + p);
    if (error == 0 && (unshared & 1U << p) != 0) error = lock_byte(fd, UNSHARED_BASE + p);
  }
  for (int p = 0; p < PERMISSIONS && error == 0; p++) {
    if ((used & 1U << p) != 0) error = check_byte(fd, UNSHARED_BASE + p);
    if (error == 0 && (unshared & 1U << p) != 0) error = check_byte(fd, USED_BASE + p);
  }
  return error;
}
