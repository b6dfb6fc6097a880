#include "cmdline.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void cmdline_read(int proc_fd, char line[CMDLINE_MAX]) {
  line[0] = '\0';
  int fd = proc_fd >= 0 ? openat(proc_fd, "cmdline", O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  ssize_t count = read(fd, line, CMDLINE_MAX - 1);
  line[count > 0 ? count : 0] = '\0';
  close(fd);
}

bool cmdline_value(const char *line, const char *name, char *value, size_t size) {
  static const char blanks[] = " \t\n";
  size_t name_size = strlen(name);
  bool found = false;
  for (const char *word = line + strspn(line, blanks); *word != '\0';) {
    size_t length = strcspn(word, blanks);
    if (length > name_size && strncmp(word, name, name_size) == 0 && word[name_size] == '=') {
      size_t value_size = length - name_size - 1;
      found = value_size < size;
      if (found) {
        memcpy(value, word + name_size + 1, value_size);
        value[value_size] = '\0';
      }
    }
    word += length;
    word += strspn(word, blanks);
  }
  return found;
}

void cmdline_strip(char **entries) {
  char **kept = entries;
  for (char **entry = entries; *entry != NULL; entry++) {
    if (strncmp(*entry, "provium.", 8) != 0) *kept++ = *entry;
  }
  *kept = NULL;
}
