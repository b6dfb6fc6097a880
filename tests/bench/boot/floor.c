/* The least user land: says that it runs, and waits to be killed. */
#include <unistd.h>

int main(void) {
  static const char line[] = "first line of user space\n";
  if (write(STDOUT_FILENO, line, sizeof line - 1) < 0) return 1;
  for (;;) pause();
}
