#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORY "/provium/modules"

static void load(const char *name) {
  char path[256];
  if (snprintf(path, sizeof path, DIRECTORY "/%s", name) >= (int)sizeof path) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fprintf(stderr, "provium: module %s: %s\n", name, strerror(errno));
    return;
  }
  if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST) {
    fprintf(stderr, "provium: module %s: %s\n", name, strerror(errno));
  }
  close(fd);
}

void modules_load(void) {
  char name[200];
  FILE *order = fopen(DIRECTORY "/order", "re");
  if (order == NULL) return;
  while (fgets(name, sizeof name, order) != NULL) {
    name[strcspn(name, "\n")] = '\0';
    if (name[0] != '\0' && name[0] != '#') load(name);
  }
  fclose(order);
}
