#include "write_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "faults.h"

#define PIECE ((size_t)1024 * 1024)

enum record_type { RECORD_WRITE = 1, RECORD_ZERO, RECORD_FLUSH };

/** Data follows a RECORD_WRITE. Written and read by the same process only. */
struct record {
  uint32_t type;
  uint32_t durable;
  uint64_t offset;
  uint64_t size;
};

int write_log_start(struct write_log *log, struct image *image, const char *base, const char *path) {
  *log = (struct write_log){.fd = -1};
  int error = image_save(image, base);
  if (error != 0) return error;
  log->base = strdup(base);
  if (log->base == NULL) return ENOMEM;
  log->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (log->fd >= 0) return 0;
  error = errno;
  write_log_stop(log);
  return error;
}

void write_log_stop(struct write_log *log) {
  if (log->fd >= 0) close(log->fd);
  free(log->base);
  *log = (struct write_log){.fd = -1};
}

static void append(struct write_log *log, struct record record, const void *data) {
  if (!write_log_runs(log) || log->error != 0) return;
  struct iovec parts[2] = {{&record, sizeof record}, {(void *)(uintptr_t)data, data == NULL ? 0 : record.size}};
  size_t whole = parts[0].iov_len + parts[1].iov_len;
  for (size_t done = 0; done < whole;) {
    ssize_t n = pwritev(log->fd, parts, 2, (off_t)(log->size + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      log->error = errno;
      return;
    }
    done += (size_t)n;
    for (int i = 0; i < 2; i++) {
      size_t taken = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
      parts[i].iov_base = (uint8_t *)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      n -= (ssize_t)taken;
    }
  }
  log->size += whole;
  if (record.type == RECORD_FLUSH) log->flushes++;
  else log->writes++;
}

void write_log_write(struct write_log *log, uint64_t offset, const void *data, uint64_t size, bool durable) {
  uint32_t type = data == NULL ? RECORD_ZERO : RECORD_WRITE;
  append(log, (struct record){.type = type, .durable = durable, .offset = offset, .size = size}, data);
}

void write_log_flush(struct write_log *log) { append(log, (struct record){.type = RECORD_FLUSH}, NULL); }

static int read_log(const struct write_log *log, uint64_t at, void *data, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(log->fd, (uint8_t *)data + done, size - done, (off_t)(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    done += (size_t)n;
  }
  return 0;
}

/** Puts the record at `at` into the image. */
static int apply(const struct write_log *log, uint64_t at, const struct record *record, struct image *image,
                 uint8_t *piece) {
  /* The disk may have been made smaller or larger since. */
  if (record->offset > image->size || record->size > image->size - record->offset) return 0;
  if (record->type == RECORD_ZERO) return image->kind->zero(image, record->offset, record->size, true);
  for (uint64_t done = 0; done < record->size;) {
    size_t size = record->size - done < PIECE ? (size_t)(record->size - done) : PIECE;
    int error = read_log(log, at + sizeof *record + done, piece, size);
    if (error == 0) error = image->kind->write(image, record->offset + done, piece, size);
    if (error != 0) return error;
    done += size;
  }
  return 0;
}

static int replay(const struct write_log *log, struct image *image, int64_t flush, enum unflushed unflushed,
                  uint64_t seed) {
  int error = 0;
  int64_t flushes = 0;
  uint8_t *piece = malloc(PIECE);
  if (piece == NULL) return ENOMEM;
  for (uint64_t at = 0; at < log->size && error == 0;) {
    struct record record;
    error = read_log(log, at, &record, sizeof record);
    if (error != 0) break;
    if (record.type == RECORD_FLUSH) {
      if (++flushes > flush) break;
    } else {
      bool flushed = flushes < flush;
      bool chosen = unflushed == UNFLUSHED_ALL ||
                    (unflushed == UNFLUSHED_RANDOM && (record.durable || (splitmix_next(&seed) & 1) != 0));
      if (flushed || chosen) error = apply(log, at, &record, image, piece);
    }
    at += sizeof record + (record.type == RECORD_WRITE ? record.size : 0);
  }
  free(piece);
  return error;
}

int write_log_image(const struct write_log *log, const char *path, int64_t flush, enum unflushed unflushed,
                    uint64_t seed) {
  struct image source = {.scratch = true};
  struct image copy = {.scratch = true};
  const char *why = NULL;
  if (log->error != 0) return log->error;
  if (flush < 0 || flush > log->flushes) return EINVAL;
  int error = image_open_raw(&source, log->base, true, -1, &why);
  if (error != 0) return error;
  error = image_save(&source, path);
  image_close(&source);
  if (error == 0) error = image_open_raw(&copy, path, false, -1, &why);
  if (error != 0) return error;
  error = replay(log, &copy, flush, unflushed, seed);
  image_close(&copy);
  if (error != 0) unlink(path);
  return error;
}
