#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

/** Larger memory is not kept for the next request. */
#define SPARE_CAPACITY ((size_t)2 * 1024 * 1024)

struct request *request_new(struct disk *disk, enum operation operation, uint64_t offset, uint32_t length) {
  bool payload = operation == OPERATION_READ || operation == OPERATION_WRITE;
  size_t capacity = REQUEST_HEADROOM + (payload ? length : 0);
  struct request *request = NULL;
  for (int i = disk->spares - 1; i >= 0; i--) {
    if (disk->spare[i]->capacity < capacity) continue;
    request = disk->spare[i];
    disk->spare[i] = disk->spare[--disk->spares];
    break;
  }
  if (request == NULL) {
    request = malloc(sizeof *request);
    uint8_t *memory = malloc(capacity);
    if (request == NULL || memory == NULL) {
      free(request);
      free(memory);
      return NULL;
    }
    request->memory = memory;
    request->capacity = capacity;
  }
  *request = (struct request){
      .operation = operation,
      .offset = offset,
      .length = length,
      .data = request->memory + REQUEST_HEADROOM,
      .disk = disk,
      .memory = request->memory,
      .capacity = request->capacity,
  };
  return request;
}

void request_free(struct request *request) {
  struct disk *disk = request->disk;
  if (disk->spares < SPARE_REQUESTS && request->capacity <= SPARE_CAPACITY) {
    disk->spare[disk->spares++] = request;
    return;
  }
  free(request->memory);
  free(request);
}

int disk_check(const struct disk *disk, enum operation operation, uint64_t offset, uint64_t length) {
  bool stores = operation == OPERATION_WRITE || operation == OPERATION_ZERO;
  if (operation == OPERATION_FLUSH) return 0;
  if (disk->image.readonly && (stores || operation == OPERATION_TRIM)) return EPERM;
  if (offset > disk->image.size || length > disk->image.size - offset) return stores ? ENOSPC : EINVAL;
  return offset % SECTOR_SIZE == 0 && length % SECTOR_SIZE == 0 ? 0 : EINVAL;
}

static enum fault_kind kind_of(enum operation operation) {
  switch (operation) {
    case OPERATION_READ:
      return FAULT_ON_READ;
    case OPERATION_FLUSH:
      return FAULT_ON_FLUSH;
    case OPERATION_TRIM:
      return FAULT_ON_TRIM;
    default:
      return FAULT_ON_WRITE;
  }
}

/** Each kind of failure is told once until something works again. */
int request_told(struct request *request, int error) {
  struct disk *disk = request->disk;
  if (error != 0 && error != disk->trouble)
    control_trouble(disk, error, request->offset, request->operation != OPERATION_READ);
  if (request->operation != OPERATION_READ || error != 0) disk->trouble = error;
  return error;
}

/** Enters a lost write at that place of the list. */
static int lose_at(struct lost_write **at, uint64_t offset, const uint8_t *data, uint64_t size,
                   enum flush_rule on_flush) {
  struct lost_write *lost = malloc(sizeof *lost);
  uint8_t *copy = data == NULL || lost == NULL ? NULL : malloc(size);
  if (lost == NULL || (data != NULL && copy == NULL)) {
    free(lost);
    return ENOMEM;
  }
  if (copy != NULL) memcpy(copy, data, size);
  *lost = (struct lost_write){.next = *at, .offset = offset, .size = size, .on_flush = on_flush, .data = copy};
  *at = lost;
  return 0;
}

static int lose(struct disk *disk, uint64_t offset, const uint8_t *data, uint64_t size, enum flush_rule on_flush) {
  struct lost_write **at = &disk->lost;
  while (*at != NULL) at = &(*at)->next;
  return lose_at(at, offset, data, size, on_flush);
}

static void forget_lost(struct lost_write **at) {
  struct lost_write *lost = *at;
  *at = lost->next;
  free(lost->data);
  free(lost);
}

void disk_lose(struct disk *disk) {
  while (disk->lost != NULL) forget_lost(&disk->lost);
}

/** Something newer arrives at [offset, offset + size): of what a flush is to store, nothing goes there any more. */
static int outdate(struct disk *disk, uint64_t offset, uint64_t size) {
  uint64_t end = offset + size;
  for (struct lost_write **at = &disk->lost; *at != NULL;) {
    struct lost_write *lost = *at;
    uint64_t lost_end = lost->offset + lost->size;
    if (lost->on_flush != FLUSH_STORE || lost->offset >= end || lost_end <= offset) {
      at = &lost->next;
      continue;
    }
    if (lost_end > end) {
      const uint8_t *rest = lost->data == NULL ? NULL : lost->data + (end - lost->offset);
      int error = lose_at(&lost->next, end, rest, lost_end - end, FLUSH_STORE);
      if (error != 0) return error;
    }
    if (lost->offset < offset) {
      lost->size = offset - lost->offset;
      at = &lost->next;
    } else forget_lost(at);
  }
  return 0;
}

/** Puts bytes (NULL: zeroes) where they belong, into the image and the log. */
static int store(struct request *request, uint64_t offset, const uint8_t *data, uint64_t size, bool durable) {
  struct image *image = &request->disk->image;
  int error = data == NULL ? image->kind->zero(image, offset, size, request->punch)
                           : image->kind->write(image, offset, data, size);
  if (request_told(request, error) == 0) write_log_write(&request->disk->log, offset, data, size, durable);
  return error;
}

void request_store(struct request *request, uint64_t skip, const uint8_t *data, uint64_t size) {
  uint64_t offset = request->offset + skip;
  if (size == 0 || request->error != 0) return;
  /* The disk may have been made smaller since. */
  request->error = disk_check(request->disk, OPERATION_WRITE, offset, size);
  if (request->error == 0) request->error = store(request, offset, data, size, request->fua);
}

void request_read(struct request *request) {
  struct image *image = &request->disk->image;
  request->error = request_told(request, image->kind->read(image, request->offset, request->data, request->length));
}

/** Applies what is to happen to lost writes with this flush, in the order in which they were made. */
static int settle_lost(struct request *request) {
  struct disk *disk = request->disk;
  int error = 0;
  while (disk->lost != NULL) {
    struct lost_write *lost = disk->lost;
    /* The disk may have been made smaller since. */
    bool there = lost->size <= disk->image.size && lost->offset <= disk->image.size - lost->size;
    if (lost->on_flush == FLUSH_ERROR) {
      error = EIO;
      request->injected = true;
    } else if (lost->on_flush == FLUSH_STORE && there) {
      int failure = store(request, lost->offset, lost->data, lost->size, false);
      if (error == 0) error = failure;
    }
    forget_lost(&disk->lost);
  }
  return error;
}

static int run_flush(struct request *request) {
  struct disk *disk = request->disk;
  int error = settle_lost(request);
  int failure = request_told(request, disk->image.kind->flush(&disk->image));
  if (error == 0) error = failure;
  if (error == 0) write_log_flush(&disk->log);
  return error;
}

static int run_write(struct request *request, struct verdict verdict) {
  struct disk *disk = request->disk;
  const uint8_t *data = request->operation == OPERATION_WRITE ? request->data : NULL;
  if (verdict.keep == 0) return 0;
  /* A write that must be durable before its answer is a flush of itself. */
  if (verdict.lost && request->fua && verdict.on_flush == FLUSH_ERROR) {
    request->injected = true;
    return EIO;
  }
  if (verdict.lost && !(request->fua && verdict.on_flush == FLUSH_STORE))
    return lose(disk, request->offset, data, verdict.keep, verdict.on_flush);
  int error = outdate(disk, request->offset, verdict.keep);
  if (error == 0) error = store(request, request->offset, data, verdict.keep, request->fua);
  if (error == 0 && request->fua) error = request_told(request, disk->image.kind->flush(&disk->image));
  return error;
}

/** A piped request is done but for this: the data of a read leaves with the answer, that of a write has come. */
static void run_piped(struct request *request) {
  struct image *image = &request->disk->image;
  if (request->operation == OPERATION_WRITE && request->fua)
    request->error = request_told(request, image->kind->flush(image));
  request->done(request);
}

static void run(struct request *request) {
  struct disk *disk = request->disk;
  struct image *image = &disk->image;
  if (request->piped) {
    run_piped(request);
    return;
  }
  enum fault_kind kind = kind_of(request->operation);
  int error = disk_check(disk, request->operation, request->offset, request->length);
  struct verdict verdict = {.keep = request->length};
  if (error == 0 && disk->faults.rules != NULL) {
    verdict = faults_judge(&disk->faults, kind, request->offset, request->length);
    error = verdict.error;
    request->injected = error != 0;
  }
  if (error == 0) {
    switch (request->operation) {
      case OPERATION_READ:
        error = request_told(request, image->kind->read(image, request->offset, request->data, request->length));
        if (error == 0 && disk->faults.rules != NULL)
          faults_corrupt(&disk->faults, request->offset, request->data, request->length);
        break;
      case OPERATION_WRITE:
      case OPERATION_ZERO:
        error = run_write(request, verdict);
        break;
      case OPERATION_TRIM:
        error = outdate(disk, request->offset, request->length);
        if (error == 0) error = image->kind->trim(image, request->offset, request->length);
        break;
      default:
        error = run_flush(request);
    }
  }
  request->error = error;
  request->done(request);
}

static void unlink_waiting(struct request *request) {
  for (struct request **at = &request->disk->waiting; *at != NULL; at = &(*at)->next) {
    if (*at != request) continue;
    *at = request->next;
    break;
  }
  request->next = NULL;
}

static void delay_over(void *context) {
  struct request *request = context;
  unlink_waiting(request);
  run(request);
}

void request_submit(struct request *request) {
  struct disk *disk = request->disk;
  int64_t delay = 0;
  if (disk->faults.rules != NULL)
    delay = faults_delay(&disk->faults, kind_of(request->operation), request->offset, request->length);
  if (delay <= 0) {
    run(request);
    return;
  }
  request->timer = (struct timer){.expired = delay_over, .context = request};
  request->next = disk->waiting;
  disk->waiting = request;
  loop_arm(&disk->loop, &request->timer, delay);
}

void requests_forget(struct disk *disk, const void *owner) {
  for (struct request *request = disk->waiting, *next = NULL; request != NULL; request = next) {
    next = request->next;
    if (request->owner != owner) continue;
    loop_disarm(&disk->loop, &request->timer);
    unlink_waiting(request);
    request_free(request);
  }
}
