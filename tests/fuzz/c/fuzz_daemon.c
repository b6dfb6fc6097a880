/**
 * What a qemu-storage-daemon answers the disk server, which is its client (agent/host/disk/image_daemon.c): the input is
 * all that it says on its socket and, behind the length in the first two bytes, on its monitor. The client ends with an
 * error or with an image that has a size, and what it read lies in its buffer.
 */

/* For its static half: nothing else leads there without a daemon. */
#include "image_daemon.c"

#define INPUT_MAX 65536
#define READ_BYTES 8192
#define GUARD 0xa5

static void must(int condition) {
  if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Our end of a connection whose other end has said that and has nothing more to say. */
static int said(const uint8_t *data, size_t size, int *other) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  must(size == 0 || send(ends[1], data, size, MSG_NOSIGNAL) == (ssize_t)size);
  must(shutdown(ends[1], SHUT_WR) == 0);
  *other = ends[1];
  return ends[0];
}

static void use(struct image *image) {
  uint8_t buffer[READ_BYTES + 1];
  buffer[READ_BYTES] = GUARD;
  must(image->size > 0);
  (void)!daemon_read(image, 0, buffer, READ_BYTES);
  (void)!daemon_write(image, 512, buffer, READ_BYTES);
  (void)!daemon_zero(image, 0, (uint64_t)3 << 30, false);
  (void)!daemon_trim(image, 0, 4096);
  (void)!daemon_flush(image);
  must(buffer[READ_BYTES] == GUARD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct image image = {.kind = &daemon_kind, .daemon = -1};
  int daemon = -1;
  int monitor = -1;
  if (size < 2 || size > INPUT_MAX) return 0;
  size_t length = (size_t)load_be(data, 2);
  data += 2;
  size -= 2;
  if (length > size) length = size;
  image.fd = said(data, length, &daemon);
  image.monitor = said(data + length, size - length, &monitor);
  if (negotiate(&image) == 0) use(&image);
  (void)!monitor_answer(image.monitor, "BLOCK_EXPORT_DELETED");
  hang_up(&image);
  close(daemon);
  close(image.monitor);
  close(monitor);
  return 0;
}
