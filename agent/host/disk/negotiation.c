#include "negotiation.h"

#include "bigendian.h"
#include "disk.h"

/** Longest option that is read; a client that follows the protocol needs no more than a name. */
#define OPTION_MAX ((size_t)8192)
#define GREETING_MAX ((size_t)64 * 1024)

void negotiation_begin(struct negotiation *negotiation, const struct disk *disk) {
  *negotiation = (struct negotiation){.disk = disk};
  buffer_init(&negotiation->out, GREETING_MAX);
  uint8_t bytes[NBD_GREETING_SIZE];
  store_be(bytes, NBD_MAGIC, 8);
  store_be(bytes + 8, NBD_OPTION_MAGIC, 8);
  store_be(bytes + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES, 2);
  buffer_append(&negotiation->out, bytes, sizeof bytes);
}

static void option_reply(struct negotiation *negotiation, uint32_t option, uint32_t type, const void *data, size_t size) {
  uint8_t head[NBD_OPTION_REPLY_SIZE];
  store_be(head, NBD_OPTION_REPLY_MAGIC, 8);
  store_be(head + 8, option, 4);
  store_be(head + 12, type, 4);
  store_be(head + 16, size, 4);
  buffer_append(&negotiation->out, head, sizeof head);
  buffer_append(&negotiation->out, data, size);
}

static uint16_t export_flags(const struct disk *disk) {
  unsigned flags = NBD_HAS_FLAGS | NBD_SEND_FLUSH;
  if (disk->image.readonly) flags |= NBD_READ_ONLY;
  else flags |= NBD_SEND_FUA | NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES;
  return (uint16_t)flags;
}

/** INFO and GO: name, then the numbers of wanted informations, which we give unasked. */
static bool describe(struct negotiation *negotiation, uint32_t option, const uint8_t *data, size_t size) {
  const struct disk *disk = negotiation->disk;
  uint64_t name = size < 6 ? 0 : load_be(data, 4);
  if (size < 6 || name > size - 6 || size - 6 - name != 2 * load_be(data + 4 + name, 2)) {
    option_reply(negotiation, option, NBD_OPTION_REPLY_INVALID, NULL, 0);
    return false;
  }
  uint8_t export[12];
  store_be(export, NBD_INFO_EXPORT, 2);
  store_be(export + 2, disk->image.size, 8);
  store_be(export + 10, export_flags(disk), 2);
  option_reply(negotiation, option, NBD_OPTION_REPLY_INFO, export, sizeof export);
  uint8_t blocks[14];
  store_be(blocks, NBD_INFO_BLOCK_SIZE, 2);
  store_be(blocks + 2, SECTOR_SIZE, 4);
  store_be(blocks + 6, 4096, 4);
  store_be(blocks + 10, NBD_MAX_PAYLOAD, 4);
  option_reply(negotiation, option, NBD_OPTION_REPLY_INFO, blocks, sizeof blocks);
  option_reply(negotiation, option, NBD_OPTION_REPLY_ACK, NULL, 0);
  return true;
}

/** The old way to choose the export: no reply, then the export itself. */
static void export_name(struct negotiation *negotiation) {
  uint8_t export[10 + 124] = {0};
  store_be(export, negotiation->disk->image.size, 8);
  store_be(export + 8, export_flags(negotiation->disk), 2);
  buffer_append(&negotiation->out, export, negotiation->no_zeroes ? 10 : sizeof export);
  negotiation->done = true;
}

static void option(struct negotiation *negotiation, uint32_t number, const uint8_t *data, size_t size) {
  static const uint8_t unnamed[4];
  switch (number) {
    case NBD_OPTION_EXPORT_NAME:
      export_name(negotiation);
      break;
    case NBD_OPTION_ABORT:
      option_reply(negotiation, number, NBD_OPTION_REPLY_ACK, NULL, 0);
      negotiation->aborted = true;
      break;
    case NBD_OPTION_LIST:
      option_reply(negotiation, number, NBD_OPTION_REPLY_SERVER, unnamed, sizeof unnamed);
      option_reply(negotiation, number, NBD_OPTION_REPLY_ACK, NULL, 0);
      break;
    case NBD_OPTION_INFO:
      describe(negotiation, number, data, size);
      break;
    case NBD_OPTION_GO:
      if (describe(negotiation, number, data, size)) negotiation->done = true;
      break;
    default:
      option_reply(negotiation, number, NBD_OPTION_REPLY_UNSUPPORTED, NULL, 0);
  }
}

int negotiation_step(struct negotiation *negotiation, struct buffer *in) {
  const uint8_t *data = buffer_begin(in);
  size_t size = buffer_length(in);
  if (!negotiation->flagged) {
    if (size < 4) return 0;
    uint64_t flags = load_be(data, 4);
    if ((flags & ~(uint64_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)) != 0) return -1;
    negotiation->no_zeroes = (flags & NBD_NO_ZEROES) != 0;
    negotiation->flagged = true;
    buffer_consume(in, 4);
    return 1;
  }
  if (size < NBD_OPTION_SIZE) return 0;
  uint64_t length = load_be(data + 12, 4);
  if (load_be(data, 8) != NBD_OPTION_MAGIC || length > OPTION_MAX) return -1;
  if (size < NBD_OPTION_SIZE + length) return 0;
  option(negotiation, (uint32_t)load_be(data + 8, 4), data + NBD_OPTION_SIZE, (size_t)length);
  buffer_consume(in, NBD_OPTION_SIZE + (size_t)length);
  return negotiation->out.failed ? -1 : 1;
}
