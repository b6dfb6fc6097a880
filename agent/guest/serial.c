#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "channels.h"
#include "messages.h"
#include "pseudofs.h"
#include "session.h"

/**
 * A virtio-serial port shows up in sysfs as virtio-ports/vport<device>p<port>, with the name that QEMU gave
 * it once the control queue has told the driver. Only one opener at a time; while no host is connected a
 * read gives end of file and poll says HUP (receive.c copes with both).
 */

#define MILLISECOND ((int64_t)1000000)
#define LAST_RETRY (250 * MILLISECOND)

struct waiting {
  struct agent *agent;
  struct timer retry;
  int64_t delay_ns;
  int sys_fd;
};

static bool read_text(int directory, const char *path, char *text, size_t size) {
  int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t count = read(fd, text, size - 1);
  close(fd);
  if (count <= 0) return false;
  text[count] = '\0';
  text[strcspn(text, "\n")] = '\0';
  return true;
}

/** Where nobody has made the node, one is made for the moment of opening it. */
static int open_by_number(const char *numbers) {
  static const char path[] = "/.provium-port";
  unsigned major_number = 0;
  unsigned minor_number = 0;
  if (sscanf(numbers, "%u:%u", &major_number, &minor_number) != 2) return -1;
  unlink(path);
  if (mknod(path, S_IFCHR | 0600, makedev(major_number, minor_number)) < 0) return -1;
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  unlink(path);
  return fd;
}

static int open_named(int ports, const char *entry) {
  char path[300];
  char text[128];
  snprintf(path, sizeof path, "%s/name", entry);
  if (!read_text(ports, path, text, sizeof text) || strcmp(text, SERIAL_PORT_NAME) != 0) return -1;
  snprintf(path, sizeof path, "/dev/%s", entry);
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 || errno != ENOENT) return fd;
  snprintf(path, sizeof path, "%s/dev", entry);
  return read_text(ports, path, text, sizeof text) ? open_by_number(text) : -1;
}

static int open_port(int sys_fd) {
  int ports = openat(sys_fd, "class/virtio-ports", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (ports < 0) return -1;
  DIR *directory = fdopendir(ports);
  if (directory == NULL) {
    close(ports);
    return -1;
  }
  int fd = -1;
  struct dirent *entry = NULL;
  while (fd < 0 && (entry = readdir(directory)) != NULL) {
    if (strncmp(entry->d_name, "vport", 5) == 0) fd = open_named(ports, entry->d_name);
  }
  closedir(directory);
  return fd;
}

static void port_gone(struct agent *agent) { serial_listen(agent); }

static void retry(void *context) {
  struct waiting *waiting = context;
  struct agent *agent = waiting->agent;
  if (waiting->sys_fd < 0) waiting->sys_fd = pseudofs_open(&pseudofs_sys);
  int fd = waiting->sys_fd >= 0 ? open_port(waiting->sys_fd) : -1;
  struct session *session = fd >= 0 ? session_open(agent, fd, true) : NULL;
  if (session == NULL) {
    loop_arm(&agent->loop, &waiting->retry, waiting->delay_ns);
    if (waiting->delay_ns < LAST_RETRY) waiting->delay_ns *= 2;
    return;
  }
  session->gone = port_gone;
  close(waiting->sys_fd);
  free(waiting);
}

bool serial_listen(struct agent *agent) {
  struct waiting *waiting = calloc(1, sizeof *waiting);
  if (waiting == NULL) return false;
  *waiting = (struct waiting){.agent = agent, .delay_ns = MILLISECOND, .sys_fd = -1};
  waiting->retry = (struct timer){.expired = retry, .context = waiting};
  retry(waiting);
  return true;
}
