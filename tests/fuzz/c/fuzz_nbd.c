/**
 * A client of the disk server (agent/host/disk) that says anything: the input is what it sends before it goes. The
 * server neither crashes nor hangs, and the image stays as large as it was.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define IMAGE_BYTES 262144
#define INPUT_MAX 65536
/** A server that needs more turns of its loop than this for so little input does not come to an end. */
#define TURNS_MAX 100000

static void must(int condition) {
  if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t sink[1 << 16];
  struct disk disk = {.log = {.fd = -1}};
  const char *why = NULL;
  char path[64];
  int ends[2];
  if (size > INPUT_MAX) return 0;
  int file = memfd_create("image", MFD_CLOEXEC);
  must(file >= 0 && ftruncate(file, IMAGE_BYTES) == 0);
  must(snprintf(path, sizeof path, "/proc/self/fd/%d", file) > 0);
  must(loop_init(&disk.loop));
  must(image_open_raw(&disk.image, path, size > 0 && (data[0] & 1) != 0, -1, &why) == 0);
  disk.open = true;
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  must(connection_open(&disk, ends[0]));
  size_t sent = size > 0 ? 1 : 0;
  for (int turns = 0; disk.connections != NULL; turns++) {
    must(turns < TURNS_MAX);
    if (sent < size) {
      ssize_t n = send(ends[1], data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent += (size_t)n;
    }
    if (sent == size) shutdown(ends[1], SHUT_WR);
    while (recv(ends[1], sink, sizeof sink, MSG_DONTWAIT) > 0) continue;
    loop_turn(&disk.loop, true);
  }
  struct stat state;
  must(fstat(file, &state) == 0 && state.st_size == IMAGE_BYTES);
  close(ends[1]);
  disk_lose(&disk);
  image_close(&disk.image);
  for (int i = 0; i < disk.spares; i++) {
    free(disk.spare[i]->memory);
    free(disk.spare[i]);
  }
  loop_end(&disk.loop);
  close(file);
  return 0;
}
