#include "restraint.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/capability.h>, which musl's own headers do not bring along. */
#define CAPABILITY_VERSION 0x20080522
#define CAP_SYS_BOOT 22
#define CAP_SYS_TIME 25

struct capability_header {
  uint32_t version;
  int pid;
};
struct capability_word {
  uint32_t effective;
  uint32_t permitted;
  uint32_t inheritable;
};

void host_powers_give_up(void) {
  static const unsigned given_up[] = {CAP_SYS_TIME, CAP_SYS_BOOT};
  struct capability_header header = {.version = CAPABILITY_VERSION, .pid = 0};
  struct capability_word data[2];
  if (syscall(SYS_capget, &header, data) < 0) return;
  for (size_t i = 0; i < sizeof given_up / sizeof given_up[0]; i++) {
    uint32_t bit = ~(UINT32_C(1) << (given_up[i] % 32));
    struct capability_word *word = &data[given_up[i] / 32];
    /* Out of the bounding set too, or a program executed as root would have them again. */
    prctl(PR_CAPBSET_DROP, given_up[i], 0, 0, 0);
    word->effective &= bit;
    word->permitted &= bit;
    word->inheritable &= bit;
  }
  syscall(SYS_capset, &header, data);
}
