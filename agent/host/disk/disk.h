#ifndef PROVIUM_DISK_H
#define PROVIUM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "disk_command.h"
#include "faults.h"
#include "image.h"
#include "loop.h"
#include "nbd.h"
#include "write_log.h"

/**
 * provium-helper disk: one process behind one disk. The guest's requests come over NBD, the test's sector calls over
 * the control socket, and both take the same way: wait as the faults say, be judged by them, act on the image.
 */

enum operation { OPERATION_READ, OPERATION_WRITE, OPERATION_ZERO, OPERATION_TRIM, OPERATION_FLUSH };

/** Room in front of a request's data for the head of what answers it, so that both leave in one piece. */
#define REQUEST_HEADROOM ((size_t)64)

struct request {
  enum operation operation;
  /** Durable before it is acknowledged. */
  bool fua;
  /** The space of zeroes may be given back. */
  bool punch;
  uint64_t offset;
  uint32_t length;
  /** Behind REQUEST_HEADROOM bytes of `memory`. */
  uint8_t *data;
  /** Once done: errno or 0, and whether a fault did it. */
  int error;
  bool injected;
  /** Its data goes from socket to image or back by a conduit, and not through `data`. */
  bool piped;
  /** Takes the request over. */
  void (*done)(struct request *request);
  /** Whose it is; NULL once that one is gone. */
  void *owner;
  uint64_t cookie;
  /** In a list of its owner, or of those that wait. */
  struct request *next;
  struct disk *disk;
  struct timer timer;
  uint8_t *memory;
  size_t capacity;
};

/** A write that was acknowledged and is not stored. `data` NULL: zeroes. */
struct lost_write {
  struct lost_write *next;
  uint64_t offset;
  uint64_t size;
  enum flush_rule on_flush;
  uint8_t *data;
};

#define SPARE_REQUESTS 16

struct disk {
  struct loop loop;
  struct image image;
  bool open;
  struct faults faults;
  struct write_log log;
  struct lost_write *lost;
  /** Those that a slow disk keeps waiting. */
  struct request *waiting;
  /** Requests with their memory, for the next ones. */
  struct request *spare[SPARE_REQUESTS];
  int spares;
  struct connection *connections;
  struct control *control;
  /** errno of the last failure of the host's storage that was told. */
  int trouble;
  bool ended;
};

/** A request with room for `length` bytes of data. NULL without memory. */
struct request *request_new(struct disk *disk, enum operation operation, uint64_t offset, uint32_t length);
void request_free(struct request *request);
/** Runs it, at once or when its delay is over; `done` is called in either case. The range has been checked. */
void request_submit(struct request *request);
/** What a piped write is made of, as it comes: `skip` bytes of it have been stored. Its error is kept. */
void request_store(struct request *request, uint64_t skip, const uint8_t *data, uint64_t size);
/** A read into `data`, as soon as that. */
void request_read(struct request *request);
/** The host's own storage has answered so. Returns `error`. */
int request_told(struct request *request, int error);
/** Nobody waits for those of `owner` any more; what waits is not done. */
void requests_forget(struct disk *disk, const void *owner);
/** What was acknowledged and not stored will not be. */
void disk_lose(struct disk *disk);

/** 0, or why such a request cannot be. */
int disk_check(const struct disk *disk, enum operation operation, uint64_t offset, uint64_t length);

/** Takes the descriptor of an NBD client over. */
bool connection_open(struct disk *disk, int fd);
void connections_close(struct disk *disk);

/** Serves the control socket `fd`; once that ends, so does the disk. */
bool control_open(struct disk *disk, int fd);
/** Sends what has been answered. */
void control_flush(struct disk *disk);
void control_close(struct disk *disk);
/** Tells the host that its storage failed. */
void control_trouble(struct disk *disk, int error, uint64_t offset, bool write);

#endif
