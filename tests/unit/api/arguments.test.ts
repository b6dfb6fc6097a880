import { expect, test } from "bun:test";
import { LAB_METHODS } from "../../../src/api/lab.ts";
import { VM_METHOD_GROUPS } from "../../../src/api/vm.ts";
import { GuestError } from "../../../src/errors/errors.ts";
import type { Actor } from "../../../src/lab/ports.ts";
import { definedClasses } from "../../../src/lua/native.ts";
import { world } from "./world.ts";

/** A guest that refuses everything. */
const refusing = Object.fromEntries(
  [
    "start",
    "run",
    "readFile",
    "writeFile",
    "pushFile",
    "stat",
    "list",
    "mkdir",
    "unlink",
    "rename",
    "syscall",
    "ioctl",
    "mountVfs",
    "clockGet",
    "clockSet",
    "clockAdvance",
  ].map((name) => [
    name,
    () => {
      throw new GuestError(`${name}: refused`, 1);
    },
  ]),
) as Partial<Actor>;

/** Values that a script may hand over by mistake, as Lua expressions. */
const VALUES = [
  "nil",
  "true",
  "0",
  "-1",
  "0/0",
  "math.huge",
  "math.mininteger",
  "1.5",
  '"x"',
  '""',
  '"a\\0b\\xff"',
  "{}",
  "{1}",
  '{x = "y"}',
  "{[1.5] = {}}",
  "{args = 5, bufs = {{}}, timeout = {}, memory = {}, files = 5, path = {}}",
  "cyclic",
  "tostring",
  "provium",
  "vm",
  "coroutine.create(tostring)",
] as const;

/** Those of them that stand behind another argument. */
const FURTHER = ["nil", "-1", "{1}", "cyclic"] as const;

/** These would wait, which is what they are for. */
const WAITING = new Set(["sleep", "wait_until", "expect", "boot", "reset", "power_button"]);

const methodsOf = (name: string): string[] =>
  Object.keys(definedClasses().find((definition) => definition.name === name)?.methods ?? {});

const SUBJECTS: Readonly<Record<string, readonly string[]>> = {
  vm: Object.values(VM_METHOD_GROUPS).flatMap((methods) => Object.keys(methods)),
  'vm:as("classic")': Object.values(VM_METHOD_GROUPS).flatMap((methods) => Object.keys(methods)),
  provium: [...Object.keys(LAB_METHODS), "parallel", "go", "create", "pack", "unpack"],
  'provium:lab("sub")': Object.keys(LAB_METHODS),
  "vm:clock()": methodsOf("Clock"),
  "vm:console()": methodsOf("Console"),
  batch: methodsOf("Batch"),
  json: ["encode", "decode"],
};

for (const [subject, methods] of Object.entries(SUBJECTS))
  test(`no argument makes a method of ${subject} a bug of ours`, () => {
    const w = world(refusing);
    try {
      w.lua('cyclic = {} cyclic[1] = cyclic cyclic.x = cyclic vm = provium:vm("vm", "default"):boot()');
      const bugs: string[] = [];
      const calls = methods
        .filter((name) => !WAITING.has(name))
        .flatMap((name) =>
          VALUES.flatMap((a) => FURTHER.map((b) => [name, a, b] as const)).flatMap(([method, a, b]) => [
            `${method}(${a}, ${b})`,
            `${method}(1, ${a}, ${b})`,
            `${method}("x", ${a}, ${b}, {})`,
          ]),
        );
      for (const call of calls) {
        const target = subject === "json" ? `json.${call}` : `${subject === "batch" ? "q" : subject}:${call}`;
        const body = subject === "batch" ? `vm:batch(function(q) ${target} end)` : target;
        const [ok, message] = w.lua(
          `if vm:state() == "paused" then vm:resume() elseif vm:state() ~= "booted" then vm:boot() end local ok, e = pcall(function() ${body} end) return ok, tostring(e)`,
        );
        if (ok !== true && String(message).includes("bug in provium")) bugs.push(`${target}: ${message}`);
      }
      expect(bugs.slice(0, 3)).toEqual([]);
      expect(calls.length).toBeGreaterThan(0);
    } finally {
      w.close();
    }
  }, 60_000);
