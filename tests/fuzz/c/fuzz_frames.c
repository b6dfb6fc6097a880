#include <stdlib.h>
#include <string.h>

#include "disk_messages.h"
#include "frame.h"
#include "messages.h"
#include "switch_messages.h"

/**
 * libFuzzer target: whatever stands in a frame is refused or decoded, and what was decoded can be walked, encoded
 * and decoded again to the same bytes. All tables of the C programs: the agent's, the disks' and the switch's.
 *
 * Input: a byte that chooses the table and whether fields or reply are meant, then the body of a frame.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VALUES_MAX 512
#define ENCODED_MAX ((size_t)1 << 20)

static void promise(bool kept) {
  if (!kept) abort();
}

/** The decoder has checked every element: walking them cannot fail. */
static void walk(const struct shape *shape, const uint8_t *values) {
  for (uint32_t i = 0; i < shape->count; i++) {
    const struct field *field = &shape->fields[i];
    if (field->type < FIELD_INTS) continue;
    const struct sequence *sequence = (const void *)(values + field->offset);
    struct reader reader = sequence_reader(sequence);
    for (uint32_t at = 0; at < sequence->count; at++) {
      int64_t number = 0;
      struct bytes bytes = {0};
      promise(field->type == FIELD_INTS ? msgpack_read_int(&reader, &number) : msgpack_read_bytes(&reader, &bytes));
    }
    promise(reader.at == reader.end);
  }
}

static void encode(const struct shape *shape, const void *values, struct buffer *out) {
  buffer_init(out, ENCODED_MAX);
  message_encode(shape, values, out);
  promise(!out->failed);
}

static void decode(const struct shape *shape, struct bytes payload) {
  _Alignas(16) uint8_t values[VALUES_MAX];
  _Alignas(16) uint8_t second[VALUES_MAX];
  const char *field = NULL;
  struct buffer once;
  struct buffer twice;
  promise(shape->size <= VALUES_MAX);
  if (!message_decode(shape, payload, values, &field)) {
    promise(field != NULL);
    return;
  }
  walk(shape, values);
  encode(shape, values, &once);
  struct bytes again = {.data = buffer_begin(&once), .size = buffer_length(&once)};
  promise(message_decode(shape, again, second, &field));
  encode(shape, second, &twice);
  promise(buffer_length(&twice) == again.size && memcmp(buffer_begin(&twice), again.data, again.size) == 0);
  buffer_free(&once);
  buffer_free(&twice);
}

static const struct message *table_of(unsigned choice, size_t *count) {
  *count = choice % 3 == 0 ? message_table_size : choice % 3 == 1 ? disk_message_table_size : switch_message_table_size;
  return choice % 3 == 0 ? message_table : choice % 3 == 1 ? disk_message_table : switch_message_table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct frame_head head;
  size_t count = 0;
  if (size < 1) return 0;
  unsigned choice = data[0];
  const struct message *table = table_of(choice, &count);
  const uint8_t *body = data + 1;
  size--;
  struct reader reader = reader_over(body, size);
  while (msgpack_skip(&reader)) continue;
  if (!frame_read_head(body, size, &head)) return 0;
  promise(head.payload_offset <= size && head.payload_offset <= FRAME_HEAD_MAX);
  struct bytes payload = {.data = body + head.payload_offset, .size = size - head.payload_offset};
  const struct message *message = message_of_kind(table, count, head.kind);
  if (message != NULL) decode(choice < 128 ? &message->fields : &message->reply, payload);
  return 0;
}
