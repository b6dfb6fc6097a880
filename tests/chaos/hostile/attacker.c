/**
 * An agent that has been replaced: it greets the host as ours does and then does what its first argument says. The
 * second is the port. Static, for a guest; it shares nothing with the agent but frames and messages.
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bigendian.h"
#include "frame.h"
#include "messages.h"

#define BUFFER_MAX ((size_t)32 * 1024 * 1024)
#define CHUNK ((size_t)64 * 1024)

struct attacker {
  int port;
  struct buffer in;
  struct buffer out;
  uint64_t random;
};

static uint32_t next(struct attacker *attacker) {
  attacker->random = attacker->random * UINT64_C(6364136223846793005) + 1442695040888963407;
  return (uint32_t)(attacker->random >> 33);
}

static void send_all(struct attacker *attacker) {
  while (buffer_length(&attacker->out) > 0) {
    ssize_t n = write(attacker->port, buffer_begin(&attacker->out), buffer_length(&attacker->out));
    if (n > 0) buffer_consume(&attacker->out, (size_t)n);
    /* Nobody reads, or nobody is there: try again, as long as it takes. */
    else usleep(1000);
  }
  buffer_compact(&attacker->out);
}

/** Waits for more of what the host says. */
static void hear(struct attacker *attacker) {
  buffer_compact(&attacker->in);
  if (!buffer_reserve(&attacker->in, CHUNK)) exit(1);
  ssize_t n = read(attacker->port, buffer_end(&attacker->in), CHUNK);
  if (n > 0) attacker->in.size += (size_t)n;
  else usleep(1000);
}

/** The frame in front of which the input stands; it stays there. */
static struct bytes frame_of(struct attacker *attacker) {
  for (;;) {
    size_t there = buffer_length(&attacker->in);
    size_t size = there < FRAME_PREFIX ? 0 : (size_t)load_be(buffer_begin(&attacker->in), FRAME_PREFIX);
    if (there >= FRAME_PREFIX && there - FRAME_PREFIX >= size)
      return (struct bytes){buffer_begin(&attacker->in) + FRAME_PREFIX, size};
    hear(attacker);
  }
}

/** Takes the next request of the host and says which it was; false for one without a head. */
static bool take_request(struct attacker *attacker, struct frame_head *head) {
  struct bytes body = frame_of(attacker);
  bool whole = frame_read_head(body.data, body.size, head);
  buffer_consume(&attacker->in, FRAME_PREFIX + body.size);
  return whole;
}

static struct bytes text(const char *words) {
  return (struct bytes){(const uint8_t *)words, strlen(words)};
}

static void say(struct attacker *attacker, int64_t kind, int64_t id, const struct shape *shape, const void *values) {
  size_t start = frame_begin(&attacker->out, kind, 0, id);
  message_encode(shape, values, &attacker->out);
  frame_end(&attacker->out, start, 0);
}

/** Answers the SYNC in front of which the input stands. */
static void answer_sync(struct attacker *attacker, const char *words) {
  static const uint8_t preamble[] = SYNC_PREAMBLE;
  struct frame_head head;
  struct sync_fields sync = {0};
  const char *field = NULL;
  for (;;) {
    const uint8_t *found = memmem(buffer_begin(&attacker->in), buffer_length(&attacker->in), preamble, sizeof preamble);
    if (found != NULL) {
      buffer_consume(&attacker->in, (size_t)(found - buffer_begin(&attacker->in)) + sizeof preamble);
      break;
    }
    hear(attacker);
  }
  struct bytes body = frame_of(attacker);
  if (!frame_read_head(body.data, body.size, &head)) exit(1);
  struct bytes payload = {body.data + head.payload_offset, body.size - head.payload_offset};
  if (!message_decode(&message_of_kind(message_table, message_table_size, MESSAGE_SYNC)->fields, payload, &sync, &field))
    exit(1);
  buffer_consume(&attacker->in, FRAME_PREFIX + body.size);
  struct ready_fields ready = {.protocol = PROTOCOL_VERSION,
                               .agent_version = text(AGENT_VERSION),
                               .kernel_release = text(words),
                               .arch = text("x86_64"),
                               .features = {.present = true},
                               .nonce = sync.nonce,
                               .agent_pid = -1,
                               .task_pid = INT64_MAX};
  buffer_append(&attacker->out, preamble, sizeof preamble);
  say(attacker, MESSAGE_READY, 0, &ready_fields_shape, &ready);
  send_all(attacker);
}

/** Greets as often as the host asks, until it asks for something else. */
static void greet(struct attacker *attacker, const char *words) {
  do {
    answer_sync(attacker, words);
    while (buffer_length(&attacker->in) == 0) hear(attacker);
  } while (*buffer_begin(&attacker->in) == 0xff);
}

// --- what it can do -----------------------------------------------------------------------------------------

static void silent(struct attacker *attacker) {
  for (;;) hear(attacker);
}

/** Announces what never comes. */
static void lengths(struct attacker *attacker) {
  frame_of(attacker);
  buffer_append(&attacker->out, "\xff\xff\xff\xfe", 4);
  send_all(attacker);
  silent(attacker);
}

/** A frame as large as one may be, again and again, for somebody who has asked for nothing of it. */
static void flood(struct attacker *attacker) {
  static uint8_t rubbish[1024 * 1024];
  frame_of(attacker);
  for (int64_t process = 1;; process++) {
    struct data_fields data = {.process = process % 3, .stream = 1, .data = {rubbish, sizeof rubbish}};
    say(attacker, MESSAGE_DATA, 0, &data_fields_shape, &data);
    send_all(attacker);
  }
}

/** Answers everything with values that happen to come to its mind. */
static void lies(struct attacker *attacker) {
  static const char *const words[] = {"../../../../tmp/owned", "/etc/passwd", "\x1b[2J\x1b]0;owned\x07", "%s%n", "", "\xff\xfe"};
  for (;;) {
    struct frame_head head;
    if (!take_request(attacker, &head)) continue;
    size_t start = frame_begin(&attacker->out, next(attacker) % 4 == 0 ? MESSAGE_ERROR : MESSAGE_OK, 0, head.request_id);
    uint32_t fields = next(attacker) % 5;
    msgpack_write_array(&attacker->out, fields);
    for (uint32_t i = 0; i < fields; i++) {
      const char *word = words[next(attacker) % 6];
      switch (next(attacker) % 5) {
        case 0:
          msgpack_write_int(&attacker->out, INT64_MIN + next(attacker));
          break;
        case 1:
          msgpack_write_int(&attacker->out, -1);
          break;
        case 2:
          msgpack_write_array(&attacker->out, 0);
          break;
        case 3:
          msgpack_write_bool(&attacker->out, true);
          break;
        default:
          msgpack_write_bytes(&attacker->out, word, strlen(word));
      }
    }
    frame_end(&attacker->out, start, 0);
    send_all(attacker);
  }
}

/** Refuses everything in words that would like to move the cursor of whoever reads them. */
static void words(struct attacker *attacker) {
  for (;;) {
    struct frame_head head;
    if (!take_request(attacker, &head)) continue;
    struct error_fields error = {
        .operation = text("\x1b[2J\x1b[1;1H"), .message = text("\x1b]0;owned\x07\x1b[31mall tests passed\xe2\x80\xae\x9b")};
    say(attacker, MESSAGE_ERROR, head.request_id, &error_fields_shape, &error);
    send_all(attacker);
  }
}

/** Says nothing here and everything on the console. */
static void console(struct attacker *attacker) {
  static char line[4096];
  int terminal = open("/dev/console", O_WRONLY | O_CLOEXEC);
  memset(line, 'x', sizeof line);
  memcpy(line, "\x1b[2J\x1b]0;owned\x07\x1bP", 14);
  line[sizeof line - 1] = '\n';
  (void)attacker;
  while (write(terminal, line, sizeof line) > 0) continue;
  silent(attacker);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*act)(struct attacker *attacker);
  } modes[] = {{"silent", silent}, {"lengths", lengths}, {"flood", flood},
               {"lies", lies},     {"words", words},     {"console", console}};
  if (argc != 3) return 2;
  struct attacker attacker = {.port = open(argv[2], O_RDWR | O_CLOEXEC), .random = 42};
  if (attacker.port < 0) return 1;
  buffer_init(&attacker.in, BUFFER_MAX);
  buffer_init(&attacker.out, BUFFER_MAX);
  greet(&attacker, strcmp(argv[1], "words") == 0 ? "\x1b[2Jevil" : "6.1");
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (strcmp(argv[1], modes[i].name) == 0) modes[i].act(&attacker);
  }
  return 2;
}
