#include "rawcall.h"

#include <stdbool.h>

static bool returns_twice(int64_t number) {
#ifdef SYS_fork
  if (number == SYS_fork || number == SYS_vfork) return true;
#endif
#ifdef SYS_clone3
  if (number == SYS_clone3) return true;
#endif
  return number == SYS_clone;
}

#if defined(__x86_64__)

int64_t raw_call(int64_t number, const uint64_t arguments[6]) {
  uint64_t twice = returns_twice(number);
  int64_t result = number;
  register uint64_t fourth __asm__("r10") = arguments[3];
  register uint64_t fifth __asm__("r8") = arguments[4];
  register uint64_t sixth __asm__("r9") = arguments[5];
  /* The child may share memory or run on another stack: it gets no further than this. */
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "test %[twice], %[twice]\n\t"
      "jz 1f\n\t"
      "xor %%edi, %%edi\n\t"
      "mov %[exit], %%eax\n\t"
      "syscall\n"
      "1:"
      : "+a"(result)
      : "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(fourth), "r"(fifth), "r"(sixth),
        [twice] "b"(twice), [exit] "i"(SYS_exit)
      : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

int64_t raw_call(int64_t number, const uint64_t arguments[6]) {
  uint64_t twice = returns_twice(number);
  register int64_t nr __asm__("x8") = number;
  register uint64_t first __asm__("x0") = arguments[0];
  register uint64_t second __asm__("x1") = arguments[1];
  register uint64_t third __asm__("x2") = arguments[2];
  register uint64_t fourth __asm__("x3") = arguments[3];
  register uint64_t fifth __asm__("x4") = arguments[4];
  register uint64_t sixth __asm__("x5") = arguments[5];
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "cbz %[twice], 1f\n\t"
      "mov x8, %[exit]\n\t"
      "svc #0\n"
      "1:"
      : "+r"(first), "+r"(nr)
      : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth), [twice] "r"(twice), [exit] "i"(SYS_exit)
      : "memory");
  return (int64_t)first;
}

#else
#error "no raw system call for this architecture"
#endif
