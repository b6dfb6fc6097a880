#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bigendian.h"
#include "frame.h"
#include "messages.h"

/**
 * The wire code of the agent under test, without an agent:
 *
 *   codec decode      reads lines "HEX [ANSWERED MESSAGE]" and prints each frame as one line of JSON
 *   codec self        checks buffers, msgpack and frames against what they promise
 *   codec fuzz N SEED decodes N damaged frames made from the lines on standard input
 */

#define VALUES_MAX 512
#define LINE_MAX_SIZE (1 << 18)

static size_t unhex(const char *text, uint8_t *bytes) {
  size_t size = 0;
  unsigned byte = 0;
  while (isxdigit((unsigned char)text[0]) && sscanf(text, "%2x", &byte) == 1) {
    bytes[size++] = (uint8_t)byte;
    text += 2;
  }
  return size;
}

static void print_hex(struct bytes bytes) {
  putchar('"');
  for (size_t i = 0; i < bytes.size; i++) printf("%02x", bytes.data[i]);
  putchar('"');
}

static void print_sequence(const struct sequence *sequence, enum field_type type) {
  struct reader reader = sequence_reader(sequence);
  putchar('[');
  for (uint32_t i = 0; i < sequence->count; i++) {
    int64_t number = 0;
    struct bytes bytes = {0};
    if (i > 0) putchar(',');
    if (type == FIELD_INTS) {
      assert(msgpack_read_int(&reader, &number));
      printf("\"%lld\"", (long long)number);
    } else {
      assert(msgpack_read_bytes(&reader, &bytes));
      print_hex(bytes);
    }
  }
  putchar(']');
}

static void print_field(const struct field *field, const void *value) {
  printf("\"%s\":", field->name);
  const struct bytes *bytes = value;
  const struct sequence *sequence = value;
  const struct optional_int *optional = value;
  bool absent = field->optional && ((field->type == FIELD_BYTES && bytes->data == NULL) ||
                                    (field->type >= FIELD_INTS && !sequence->present) ||
                                    (field->type == FIELD_INT && !optional->present));
  if (absent) printf("null");
  else if (field->type == FIELD_INT) {
    printf("\"%lld\"", (long long)(field->optional ? optional->value : *(const int64_t *)value));
  } else if (field->type == FIELD_BOOL) printf(*(const bool *)value ? "true" : "false");
  else if (field->type == FIELD_BYTES) print_hex(*bytes);
  else print_sequence(sequence, field->type);
}

static const struct shape *shape_of(const struct frame_head *head, const char *answers) {
  for (size_t i = 0; i < message_table_size; i++) {
    if (answers[0] != '\0' && strcmp(message_table[i].name, answers) == 0) return &message_table[i].reply;
  }
  const struct message *message = message_of_kind(message_table, message_table_size, head->kind);
  return message == NULL ? NULL : &message->fields;
}

/** Decodes a whole frame; `values` must hold VALUES_MAX bytes. NULL when it is refused. */
static const struct shape *decode(const uint8_t *frame, size_t size, const char *answers, struct frame_head *head,
                                  void *values) {
  const char *field = NULL;
  if (size < FRAME_PREFIX || load_be(frame, FRAME_PREFIX) != size - FRAME_PREFIX) return NULL;
  const uint8_t *body = frame + FRAME_PREFIX;
  size -= FRAME_PREFIX;
  if (!frame_read_head(body, size, head)) return NULL;
  const struct shape *shape = shape_of(head, answers);
  if (shape == NULL) return NULL;
  assert(shape->size <= VALUES_MAX);
  struct bytes payload = {.data = body + head->payload_offset, .size = size - head->payload_offset};
  return message_decode(shape, payload, values, &field) ? shape : NULL;
}

static void print_frame(const uint8_t *frame, size_t size, const char *answers) {
  _Alignas(16) uint8_t values[VALUES_MAX];
  struct frame_head head;
  const struct shape *shape = decode(frame, size, answers, &head, values);
  if (shape == NULL) {
    printf("null\n");
    return;
  }
  printf("{\"kind\":%lld,\"actor\":%lld,\"request_id\":\"%lld\",\"payload\":{", (long long)head.kind,
         (long long)head.actor, (long long)head.request_id);
  for (uint32_t i = 0; i < shape->count; i++) {
    if (i > 0) putchar(',');
    print_field(&shape->fields[i], values + shape->fields[i].offset);
  }
  printf("}}\n");

  /* What is encoded again decodes to the same bytes of meaning. */
  struct buffer again;
  buffer_init(&again, LINE_MAX_SIZE);
  size_t start = frame_begin(&again, head.kind, head.actor, head.request_id);
  message_encode(shape, values, &again);
  frame_end(&again, start, 0);
  _Alignas(16) uint8_t second[VALUES_MAX];
  assert(!again.failed);
  assert(decode(buffer_begin(&again), buffer_length(&again), answers, &head, second) == shape);
  buffer_free(&again);
}

/** One line of input: the frame in memory of its exact size, so that a sanitizer sees any step beyond it. */
static uint8_t *read_line(size_t *size, char answers[64]) {
  static char line[LINE_MAX_SIZE];
  static uint8_t bytes[LINE_MAX_SIZE / 2];
  if (fgets(line, sizeof line, stdin) == NULL) return NULL;
  *size = unhex(line, bytes);
  answers[0] = '\0';
  if (line[2 * *size] == ' ' && sscanf(line + 2 * *size + 1, "%63s", answers) != 1) answers[0] = '\0';
  uint8_t *exact = malloc(*size > 0 ? *size : 1);
  assert(exact != NULL);
  memcpy(exact, bytes, *size);
  return exact;
}

static void decode_lines(void) {
  char answers[64];
  size_t size = 0;
  uint8_t *frame = NULL;
  while ((frame = read_line(&size, answers)) != NULL) {
    print_frame(frame, size, answers);
    free(frame);
  }
}

static uint64_t random_next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static void damage(uint8_t *frame, size_t size, uint64_t *state) {
  static const uint8_t nasty[] = {0x00, 0x7f, 0x80, 0xc1, 0xc6, 0xc9, 0xcf, 0xdb, 0xdd, 0xdf, 0xff};
  uint64_t times = 1 + random_next(state) % 4;
  for (uint64_t i = 0; i < times; i++) {
    size_t at = (size_t)(random_next(state) % size);
    uint64_t word = random_next(state);
    frame[at] = word % 2 == 0 ? (uint8_t)(word >> 8) : nasty[(word >> 8) % sizeof nasty];
  }
}

static void fuzz(uint64_t rounds, uint64_t seed) {
  enum { KEPT = 512 };
  static struct {
    uint8_t *frame;
    size_t size;
  } kept[KEPT];
  char answers[64];
  size_t count = 0;
  size_t size = 0;
  uint64_t accepted = 0;
  uint64_t state = seed | 1;
  uint8_t *frame = NULL;
  while (count < KEPT && (frame = read_line(&size, answers)) != NULL) {
    kept[count].frame = frame;
    kept[count++].size = size;
  }
  assert(count > 0);
  for (uint64_t round = 0; round < rounds; round++) {
    size_t which = (size_t)(random_next(&state) % count);
    size = kept[which].size;
    if (random_next(&state) % 4 == 0) size = FRAME_PREFIX + (size_t)(random_next(&state) % (size - FRAME_PREFIX + 1));
    frame = malloc(size);
    assert(frame != NULL);
    memcpy(frame, kept[which].frame, size);
    damage(frame, size, &state);
    store_be(frame, size - FRAME_PREFIX, FRAME_PREFIX);
    _Alignas(16) uint8_t values[VALUES_MAX];
    struct frame_head head;
    accepted += decode(frame, size, "", &head, values) != NULL;
    struct reader reader = reader_over(frame, size);
    while (msgpack_skip(&reader)) continue;
    free(frame);
  }
  while (count > 0) free(kept[--count].frame);
  printf("%llu of %llu accepted\n", (unsigned long long)accepted, (unsigned long long)rounds);
}

static void check_buffer(void) {
  struct buffer buffer;
  buffer_init(&buffer, 1000);
  for (int i = 0; i < 100; i++) assert(buffer_append(&buffer, "0123456789", 10));
  assert(buffer_length(&buffer) == 1000 && !buffer_append_byte(&buffer, 0) && buffer.failed);
  assert(!buffer_append(&buffer, "", 0));
  buffer_consume(&buffer, 995);
  assert(memcmp(buffer_begin(&buffer), "56789", 5) == 0);
  buffer_clear(&buffer);
  assert(buffer_append(&buffer, "again", 5) && buffer_length(&buffer) == 5);
  assert(!buffer_reserve(&buffer, SIZE_MAX) && buffer.failed);
  buffer_free(&buffer);

  uint8_t memory[8];
  buffer_over(&buffer, memory, sizeof memory);
  assert(buffer_append(&buffer, "12345678", 8) && !buffer_append_byte(&buffer, '9'));
  buffer_clear(&buffer);
  assert(buffer_append(&buffer, "12345678", 8));
  buffer_consume(&buffer, 6);
  assert(buffer_append(&buffer, "abc", 3) && memcmp(buffer_begin(&buffer), "78abc", 5) == 0);
}

static void check_integers(void) {
  static const int64_t values[] = {0,          127,        128,        255,        256,       65535,    65536,
                                   UINT32_MAX, INT64_MAX,  -1,         -32,        -33,       -128,     -129,
                                   INT16_MIN,  INT32_MIN,  INT64_MIN,  INT32_MAX,  4294967296};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    uint8_t memory[9];
    struct buffer buffer;
    buffer_over(&buffer, memory, sizeof memory);
    msgpack_write_int(&buffer, values[i]);
    struct reader reader = reader_over(memory, buffer_length(&buffer));
    int64_t value = ~values[i];
    assert(msgpack_read_int(&reader, &value) && value == values[i] && reader.at == reader.end);
    for (size_t size = 0; size < buffer_length(&buffer); size++) {
      reader = reader_over(memory, size);
      assert(!msgpack_read_int(&reader, &value) && reader.at == memory);
    }
  }
  uint8_t most[] = {0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  struct reader reader = reader_over(most, sizeof most);
  int64_t value = 0;
  assert(msgpack_read_int(&reader, &value) && value == -1);
}

static void check_bytes(void) {
  static const size_t sizes[] = {0, 31, 255, 256, 65535, 65536, 200000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint8_t *data = calloc(sizes[i] + 1, 1);
    struct buffer buffer;
    struct bytes read = {0};
    assert(data != NULL);
    buffer_init(&buffer, SIZE_MAX);
    msgpack_write_bytes(&buffer, data, sizes[i]);
    struct reader reader = reader_over(buffer_begin(&buffer), buffer_length(&buffer));
    assert(msgpack_read_bytes(&reader, &read) && read.size == sizes[i] && reader.at == reader.end);
    reader = reader_over(buffer_begin(&buffer), buffer_length(&buffer) - 1);
    assert(!msgpack_read_bytes(&reader, &read));
    buffer_free(&buffer);
    free(data);
  }
}

/** A thousand arrays inside one another must not take a thousand stack frames. */
static void check_depth(void) {
  uint8_t nested[1001];
  memset(nested, 0x91, sizeof nested);
  nested[1000] = 0xc0;
  struct reader reader = reader_over(nested, sizeof nested);
  assert(!msgpack_skip(&reader) && reader.at == nested);
  reader = reader_over(nested + 980, 21);
  assert(msgpack_skip(&reader) && reader.at == reader.end);
  uint8_t huge[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0};
  reader = reader_over(huge, sizeof huge);
  assert(!msgpack_skip(&reader));
}

static void check_frames(void) {
  struct buffer buffer;
  struct frame_head head;
  buffer_init(&buffer, 4096);
  buffer_append(&buffer, "xxx", 3);
  buffer_consume(&buffer, 1);
  size_t start = frame_begin(&buffer, 300, 5000000000, -7);
  msgpack_write_array(&buffer, 0);
  frame_end(&buffer, start, 10);
  const uint8_t *frame = buffer_begin(&buffer) + start;
  assert(start == 2 && load_be(frame, 4) == buffer_length(&buffer) - start - 4 + 10);
  size_t size = buffer_length(&buffer) - start - 4;
  assert(frame_read_head(frame + 4, size, &head));
  assert(head.kind == 300 && head.actor == 5000000000 && head.request_id == -7 && head.payload_offset == size - 1);
  for (size_t part = 0; part < size - 1; part++) assert(!frame_read_head(frame + 4, part, &head));
  buffer_free(&buffer);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "decode") == 0) {
    decode_lines();
  } else if (argc == 2 && strcmp(argv[1], "self") == 0) {
    check_buffer();
    check_integers();
    check_bytes();
    check_depth();
    check_frames();
    printf("ok\n");
  } else if (argc == 4 && strcmp(argv[1], "fuzz") == 0) {
    fuzz(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
  } else {
    fprintf(stderr, "usage: codec decode | self | fuzz ROUNDS SEED\n");
    return 2;
  }
  return 0;
}
