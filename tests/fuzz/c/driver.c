/**
 * What libFuzzer does, without its knowledge of coverage: for machines without clang. Takes libFuzzer's flag
 * -max_total_time and directories of inputs; feeds each input, then changes of them.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUTS_MAX 1024
#define INPUT_BYTES 65536

struct input {
  size_t size;
  uint8_t *data;
};

static struct input inputs[INPUTS_MAX];
static size_t count;

static void load(const char *directory) {
  DIR *listing = opendir(directory);
  if (listing == NULL) return;
  for (struct dirent *entry = readdir(listing); entry != NULL && count < INPUTS_MAX; entry = readdir(listing)) {
    char path[4096];
    if (entry->d_name[0] == '.') continue;
    if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path) continue;
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_BYTES);
    if (file != NULL && data != NULL) inputs[count++] = (struct input){fread(data, 1, INPUT_BYTES, file), data};
    else free(data);
    if (file != NULL) fclose(file);
  }
  closedir(listing);
}

static size_t below(size_t n) { return n == 0 ? 0 : (size_t)rand() % n; }

static size_t change(uint8_t *data, size_t size) {
  for (size_t left = 1 + below(8); left > 0; left--) {
    size_t at = below(size);
    const struct input *other = &inputs[below(count)];
    size_t from = below(other->size);
    size_t length = below(other->size - from < INPUT_BYTES - at ? other->size - from : INPUT_BYTES - at);
    switch (below(5)) {
      case 0:
        if (size > 0) data[at] ^= (uint8_t)(1U << below(8));
        break;
      case 1:
        if (size > 0) data[at] = (uint8_t)below(256);
        break;
      case 2:
        size = at;
        break;
      case 3:
        memcpy(data + at, other->data + from, length);
        if (at + length > size) size = at + length;
        break;
      default:
        if (length > INPUT_BYTES - size) length = INPUT_BYTES - size;
        memmove(data + at + length, data + at, size - at);
        memcpy(data + at, other->data + from, length);
        size += length;
    }
  }
  return size;
}

int main(int argc, char **argv) {
  static uint8_t data[INPUT_BYTES];
  static const char time_flag[] = "-max_total_time=";
  long seconds = 10;
  unsigned long runs = 0;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], time_flag, sizeof time_flag - 1) == 0) seconds = atol(argv[i] + sizeof time_flag - 1);
    else if (argv[i][0] != '-') load(argv[i]);
  }
  for (size_t i = 0; i < count; i++, runs++) LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].size);
  time_t end = time(NULL) + seconds;
  srand((unsigned)end);
  for (; count > 0 && time(NULL) < end; runs++) {
    const struct input *input = &inputs[below(count)];
    memcpy(data, input->data, input->size);
    LLVMFuzzerTestOneInput(data, change(data, input->size));
  }
  printf("number_of_executed_units: %lu\n", runs);
  for (size_t i = 0; i < count; i++) free(inputs[i].data);
  return 0;
}
