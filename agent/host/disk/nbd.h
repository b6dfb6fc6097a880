#ifndef PROVIUM_NBD_H
#define PROVIUM_NBD_H

/**
 * Numbers of the NBD protocol (doc/proto.md of the nbd project), fixed newstyle negotiation, simple replies. All
 * integers are big-endian.
 *
 *   server  "NBDMAGIC" "IHAVEOPT" flags:2
 *   client  flags:4, then options: "IHAVEOPT" option:4 length:4 data
 *   server  to each option replies: 0x3e889045565a9 option:4 type:4 length:4 data
 *   after EXPORT_NAME or GO, requests:  0x25609513 flags:2 type:2 cookie:8 offset:8 length:4 [data]
 *   and replies in any order:           0x67446698 error:4 cookie:8 [data]
 */

#define NBD_MAGIC 0x4e42444d41474943ULL
#define NBD_OPTION_MAGIC 0x49484156454f5054ULL
#define NBD_OPTION_REPLY_MAGIC 0x3e889045565a9ULL
#define NBD_REQUEST_MAGIC 0x25609513U
#define NBD_REPLY_MAGIC 0x67446698U

#define NBD_GREETING_SIZE 18
#define NBD_OPTION_SIZE 16
#define NBD_OPTION_REPLY_SIZE 20
#define NBD_REQUEST_SIZE 28
#define NBD_REPLY_SIZE 16

/** Handshake flags of both sides. */
#define NBD_FIXED_NEWSTYLE 1U
#define NBD_NO_ZEROES 2U

enum nbd_option {
  NBD_OPTION_EXPORT_NAME = 1,
  NBD_OPTION_ABORT = 2,
  NBD_OPTION_LIST = 3,
  NBD_OPTION_INFO = 6,
  NBD_OPTION_GO = 7,
};

#define NBD_OPTION_REPLY_ACK 1U
#define NBD_OPTION_REPLY_SERVER 2U
#define NBD_OPTION_REPLY_INFO 3U
#define NBD_OPTION_REPLY_UNSUPPORTED 0x80000001U
#define NBD_OPTION_REPLY_INVALID 0x80000003U

#define NBD_INFO_EXPORT 0U
#define NBD_INFO_BLOCK_SIZE 3U

#define NBD_HAS_FLAGS (1U << 0)
#define NBD_READ_ONLY (1U << 1)
#define NBD_SEND_FLUSH (1U << 2)
#define NBD_SEND_FUA (1U << 3)
#define NBD_SEND_TRIM (1U << 5)
#define NBD_SEND_WRITE_ZEROES (1U << 6)

enum nbd_command {
  NBD_READ = 0,
  NBD_WRITE = 1,
  NBD_DISCONNECT = 2,
  NBD_FLUSH = 3,
  NBD_TRIM = 4,
  NBD_WRITE_ZEROES = 6,
};

#define NBD_COMMAND_FUA 1U
#define NBD_COMMAND_NO_HOLE 2U

/** Most bytes of one request; what the protocol lets a client assume. */
#define NBD_MAX_PAYLOAD ((uint32_t)32 * 1024 * 1024)

#endif
