#include "passing.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
  char bytes[CMSG_SPACE(sizeof(int) * PASS_MOST)];
  struct cmsghdr align;
};

bool pass_descriptors(int socket, const int *fds, unsigned count) {
  union control control = {.bytes = {0}};
  char byte = 0;
  size_t size = sizeof(int) * count;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = (socklen_t)CMSG_SPACE(size)};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = (socklen_t)CMSG_LEN(size);
  memcpy(CMSG_DATA(head), fds, size);
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

int take_descriptors(int socket, int *fds, unsigned count) {
  union control control;
  char byte = 0;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) return -1;

  int received[PASS_MOST];
  size_t came = 0;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
    came = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (came > PASS_MOST) came = PASS_MOST;
    memcpy(received, CMSG_DATA(head), came * sizeof(int));
  }
  size_t kept = came < count ? came : count;
  memcpy(fds, received, kept * sizeof(int));
  for (size_t i = kept; i < came; i++) close(received[i]);
  return (int)kept;
}
