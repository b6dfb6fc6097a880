#include "frame.h"

#include "bigendian.h"
#include "msgpack.h"

bool frame_read_head(const uint8_t *body, size_t size, struct frame_head *head) {
  struct reader reader = reader_over(body, size);
  uint32_t count = 0;
  if (!msgpack_read_array(&reader, &count) || count < 4) return false;
  if (!msgpack_read_int(&reader, &head->kind)) return false;
  if (!msgpack_read_int(&reader, &head->actor)) return false;
  if (!msgpack_read_int(&reader, &head->request_id)) return false;
  head->payload_offset = (size_t)(reader.at - body);
  return true;
}

size_t frame_begin(struct buffer *buffer, int64_t kind, int64_t actor, int64_t request_id) {
  static const uint8_t prefix[FRAME_PREFIX];
  size_t start = buffer_length(buffer);
  buffer_append(buffer, prefix, sizeof prefix);
  msgpack_write_array(buffer, 4);
  msgpack_write_int(buffer, kind);
  msgpack_write_int(buffer, actor);
  msgpack_write_int(buffer, request_id);
  return start;
}

void frame_end(struct buffer *buffer, size_t start, size_t more) {
  if (buffer->failed) return;
  size_t body = buffer_length(buffer) - start - FRAME_PREFIX + more;
  store_be(buffer_begin(buffer) + start, body, FRAME_PREFIX);
}
