#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netns.h"

/** Records an interface with packet(7), and writes classic pcap with nanoseconds, as pcap-savefile(5) has it. */

/** ETH_P_ALL in network order. */
#define EVERY_PROTOCOL 0x0300
#define PACKET_LEVEL 263
#define PACKET_ADD_MEMBERSHIP 1
#define PACKET_AUXDATA 8
#define PACKET_MR_PROMISC 1
#define MAGIC_NANOSECONDS 0xa1b23c4du
#define LINKTYPE_ETHERNET 1
#define LARGEST_FRAME 262144

/* <linux/if_packet.h>, which musl does not have. */
struct packet_address {
  uint16_t family;
  uint16_t protocol;
  int32_t index;
  uint16_t hardware;
  uint8_t type;
  uint8_t length;
  uint8_t address[8];
};

struct packet_mreq {
  int index;
  uint16_t type;
  uint16_t length;
  uint8_t address[8];
};

struct auxdata {
  uint32_t status;
  uint32_t length;
  uint32_t captured;
  uint16_t mac;
  uint16_t net;
  uint16_t vlan;
  uint16_t vlan_protocol;
};
#define STATUS_VLAN_VALID 0x10
#define STATUS_VLAN_PROTOCOL_VALID 0x40

struct file_header {
  uint32_t magic;
  uint16_t major;
  uint16_t minor;
  uint32_t zone;
  uint32_t accuracy;
  uint32_t longest;
  uint32_t link;
};

struct record {
  uint32_t seconds;
  uint32_t nanoseconds;
  uint32_t stored;
  uint32_t length;
  uint8_t frame[LARGEST_FRAME];
};
#define RECORD_HEAD 16
#define ADDRESSES 12
#define VLAN_TAG 4

static bool write_all(int fd, const void *data, size_t size) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t written = write(fd, at, size);
    if (written < 0 && errno == EAGAIN) {
      struct pollfd reader = {.fd = fd, .events = POLLOUT};
      poll(&reader, 1, -1);
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    at += written;
    size -= (size_t)written;
  }
  return true;
}

static int open_socket(const char *interface) {
  int yes = 1;
  int space = 8 * 1024 * 1024;
  struct packet_address address = {.family = AF_PACKET, .protocol = EVERY_PROTOCOL, .index = (int32_t)if_nametoindex(interface)};
  if (address.index == 0) return -1;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* The kernel takes a VLAN tag out of the frame and tells it beside: it belongs back. */
  setsockopt(fd, PACKET_LEVEL, PACKET_AUXDATA, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
  /* A bridge shows what passes from port to port only while it is promiscuous. */
  struct packet_mreq everything = {.index = address.index, .type = PACKET_MR_PROMISC};
  setsockopt(fd, PACKET_LEVEL, PACKET_ADD_MEMBERSHIP, &everything, sizeof everything);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &space, sizeof space);
  if (bind(fd, (struct sockaddr *)(void *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

/** Puts a VLAN tag that came beside the frame where it was. */
static size_t restore_tag(struct record *record, size_t size, const struct auxdata *aux) {
  if ((aux->status & STATUS_VLAN_VALID) == 0 || size < ADDRESSES || size + VLAN_TAG > LARGEST_FRAME) return size;
  uint16_t protocol = (aux->status & STATUS_VLAN_PROTOCOL_VALID) != 0 ? aux->vlan_protocol : 0x8100;
  uint8_t tag[VLAN_TAG] = {(uint8_t)(protocol >> 8), (uint8_t)protocol, (uint8_t)(aux->vlan >> 8), (uint8_t)aux->vlan};
  memmove(record->frame + ADDRESSES + VLAN_TAG, record->frame + ADDRESSES, size - ADDRESSES);
  memcpy(record->frame + ADDRESSES, tag, sizeof tag);
  return size + VLAN_TAG;
}

/* musl's CMSG_NXTHDR converts a negative alignment mask. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
static struct cmsghdr *next_control(struct msghdr *message, struct cmsghdr *at) { return CMSG_NXTHDR(message, at); }
#pragma GCC diagnostic pop

/** Receives one frame with its time. False when the interface is gone. */
static bool receive(int fd, struct record *record) {
  union {
    struct cmsghdr head;
    char space[256];
  } control;
  struct iovec data = {.iov_base = record->frame, .iov_len = LARGEST_FRAME};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct timespec when = {0};
  struct auxdata aux = {0};
  ssize_t size = recvmsg(fd, &message, 0);
  if (size < 0) return errno == EINTR;
  for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = next_control(&message, at)) {
    if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_TIMESTAMPNS) memcpy(&when, CMSG_DATA(at), sizeof when);
    else if (at->cmsg_type == PACKET_AUXDATA) memcpy(&aux, CMSG_DATA(at), sizeof aux);
  }
  size_t length = restore_tag(record, (size_t)size, &aux);
  if (when.tv_sec == 0) clock_gettime(CLOCK_REALTIME, &when);
  record->seconds = (uint32_t)when.tv_sec;
  record->nanoseconds = (uint32_t)when.tv_nsec;
  record->stored = (uint32_t)length;
  record->length = (uint32_t)length;
  return true;
}

int capture_run(const char *interface, int fd) {
  struct file_header header = {
      .magic = MAGIC_NANOSECONDS, .major = 2, .minor = 4, .longest = LARGEST_FRAME, .link = LINKTYPE_ETHERNET};
  struct record *record = malloc(sizeof *record);
  int packets = open_socket(interface);
  bool running = record != NULL && packets >= 0;
  if (!running) fprintf(stderr, "capture on %s: %s\n", interface, strerror(errno));
  /* The header says that the recording has begun. */
  running = running && write_all(fd, &header, sizeof header);
  while (running) {
    struct pollfd both[2] = {{.fd = packets, .events = POLLIN}, {.fd = fd}};
    if (poll(both, 2, -1) < 0 && errno != EINTR) break;
    if ((both[1].revents & (POLLERR | POLLHUP)) != 0) break;
    if ((both[0].revents & POLLIN) == 0) continue;
    record->stored = 0;
    running = receive(packets, record) &&
              (record->stored == 0 || write_all(fd, record, RECORD_HEAD + record->stored));
  }
  if (packets >= 0) close(packets);
  free(record);
  return running ? 0 : 1;
}
