/**
 * What libFuzzer does, without its knowledge of coverage: for machines without clang. Takes libFuzzer's flags
 * -max_total_time and -artifact_prefix and directories of inputs; feeds each input, then changes of them, and keeps the
 * one at which the program ends.
 */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

/* Every finding is an abort. */
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1"; }

#define INPUTS_MAX 1024
#define INPUT_BYTES 65536

struct input {
  size_t size;
  uint8_t *data;
};

static struct input inputs[INPUTS_MAX];
static size_t count;
static struct input at_hand;
static const char *prefix = "";

/** Keeps the input at hand. By now anything may be broken: a few system calls and no memory. */
static void aborted(int number) {
  static char path[4096];
  snprintf(path, sizeof path, "%sgcc-%d", prefix, (int)getpid());
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0 && write(file, at_hand.data, at_hand.size) == (ssize_t)at_hand.size) {
    fprintf(stderr, "FINDING in %s\n", path);
  }
  signal(number, SIG_DFL);
  raise(number);
}

static void feed(uint8_t *data, size_t size) {
  at_hand = (struct input){size, data};
  LLVMFuzzerTestOneInput(data, size);
}

/** The value of a flag, when the argument is that flag. */
static const char *flag(const char *argument, const char *name) {
  size_t length = strlen(name);
  return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

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
  long seconds = 10;
  unsigned long runs = 0;
  for (int i = 1; i < argc; i++) {
    const char *time_limit = flag(argv[i], "-max_total_time=");
    const char *artifacts = flag(argv[i], "-artifact_prefix=");
    if (time_limit != NULL) seconds = atol(time_limit);
    else if (artifacts != NULL) prefix = artifacts;
    else if (argv[i][0] != '-') load(argv[i]);
  }
  signal(SIGABRT, aborted);
  for (size_t i = 0; i < count; i++, runs++) feed(inputs[i].data, inputs[i].size);
  time_t end = time(NULL) + seconds;
  srand((unsigned)end);
  for (; count > 0 && time(NULL) < end; runs++) {
    const struct input *input = &inputs[below(count)];
    memcpy(data, input->data, input->size);
    feed(data, change(data, input->size));
  }
  printf("number_of_executed_units: %lu\n", runs);
  for (size_t i = 0; i < count; i++) free(inputs[i].data);
  return 0;
}
