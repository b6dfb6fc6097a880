import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { numbersIn } from "../../../embed/syscalls.ts";
import { ApiError } from "../../../src/errors/errors.ts";
import {
  checkedSyscall,
  SYSCALL_MACHINES,
  syscallNames,
  syscallNumber,
} from "../../../src/guest/syscalls.ts";

const refusal = (act: () => unknown): ApiError => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    return error as ApiError;
  }
  throw new Error("nothing was refused");
};

describe("system calls by name", () => {
  test("a name has the number of its architecture", () => {
    expect(syscallNumber("openat", "x86_64")).toBe(257);
    expect(syscallNumber("openat", "aarch64")).toBe(56);
    expect(syscallNumber("getpid", "x86_64")).toBe(39);
    expect(syscallNumber("getpid", "aarch64")).toBe(172);
    // From 424 on every architecture counts the same.
    expect(syscallNumber("pidfd_send_signal", "x86_64")).toBe(424);
    expect(syscallNumber("pidfd_send_signal", "aarch64")).toBe(424);
  });

  test("no two names of an architecture share a number", () => {
    for (const machine of SYSCALL_MACHINES) {
      const numbers = syscallNames().flatMap((name) => {
        try {
          return [syscallNumber(name, machine)];
        } catch {
          return [];
        }
      });
      expect(numbers.length).toBeGreaterThan(300);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });

  test("the table agrees with the headers of this machine", () => {
    const header = readFileSync("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "utf8");
    for (const [name, number] of numbersIn(header)) expect(syscallNumber(name, "x86_64")).toBe(number);
  });

  test("a misspelt name is answered with the nearest one", () => {
    expect(refusal(() => checkedSyscall("opennat")).message).toBe(
      'unknown system call "opennat" (did you mean "openat"?)',
    );
    expect(refusal(() => checkedSyscall("constructor")).message).toBe('unknown system call "constructor"');
    expect(refusal(() => checkedSyscall("constructor")).hint).toContain("without a prefix");
  });

  test("a call that the architecture lacks names who has it, and what to use", () => {
    const error = refusal(() => syscallNumber("open", "aarch64"));
    expect(error.message).toBe('aarch64 has no system call "open" (x86_64 has it)');
    expect(error.hint).toBe('Use "openat", which every architecture has.');
    expect(refusal(() => syscallNumber("iopl", "aarch64")).hint).toBeUndefined();
  });

  test("an architecture without a table is named", () => {
    const error = refusal(() => syscallNumber("openat", "riscv64"));
    expect(error.message).toBe("no numbers of system calls for riscv64 (known: x86_64, aarch64)");
  });

  test("every successor exists on every architecture", () => {
    const lost = syscallNames().filter((name) => {
      try {
        syscallNumber(name, "aarch64");
        return false;
      } catch (error) {
        const successor = /Use "(\w+)"/.exec((error as ApiError).hint ?? "")?.[1];
        return successor !== undefined && syscallNumber(successor, "aarch64") < 0;
      }
    });
    expect(lost).toEqual([]);
  });
});

test("a text that is no header of numbers is refused", () => {
  expect(() => numbersIn("#define __NR_read 0\n")).toThrow("no numbers of system calls");
});
