import { expect, test } from "bun:test";
import { LAB_METHODS } from "../../../src/api/lab.ts";
import { GUEST_METHOD_GROUPS, VM_METHOD_GROUPS } from "../../../src/api/vm.ts";
import { GuestError } from "../../../src/errors/errors.ts";
import type { Actor } from "../../../src/lab/ports.ts";
import { definedClasses } from "../../../src/lua/native.ts";
import { answering } from "./guest.ts";
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
    "open",
    "read",
    "write",
    "seek",
    "closeFd",
    "tail",
    "tailFd",
    "fdStream",
    "syscallAsync",
    "readMem",
    "spawnWorker",
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
const WAITING = new Set([
  "sleep",
  "wait_until",
  "expect",
  "boot",
  "reset",
  "power_button",
  "barrier",
  "wait",
  "await",
  "join",
  "next",
  "read_until",
  "drain",
]);

const methodsOf = (name: string): string[] =>
  Object.keys(definedClasses().find((definition) => definition.name === name)?.methods ?? {});

/** Tried on the VM already. */
const METHODS_OF_GUESTS = new Set(
  Object.values(GUEST_METHOD_GROUPS).flatMap((methods) => Object.keys(methods)),
);

const SUBJECTS: Readonly<Record<string, readonly string[]>> = {
  vm: Object.values(VM_METHOD_GROUPS).flatMap((methods) => Object.keys(methods)),
  'vm:as("classic")': Object.values(VM_METHOD_GROUPS).flatMap((methods) => Object.keys(methods)),
  provium: [...Object.keys(LAB_METHODS), "parallel", "go", "create", "pack", "unpack"],
  'provium:lab("sub")': Object.keys(LAB_METHODS),
  "vm:clock()": methodsOf("Clock"),
  "vm:console()": methodsOf("Console"),
  batch: methodsOf("Batch"),
  'vm:run_async("x")': methodsOf("Process"),
  'vm:open_file("/x", {read = true})': methodsOf("File"),
  'vm:tail_file("/x")': methodsOf("Tail"),
  "vm:console():read()": methodsOf("ConsoleStream"),
  "vm:syscall_async(1)": methodsOf("PendingCall"),
  "vm:spawn_worker()": methodsOf("Worker").filter((name) => !METHODS_OF_GUESTS.has(name)),
  json: ["encode", "decode"],
};

/** Calls every method with every combination; collects the messages that speak of a bug. Returns the number of calls. */
const HARNESS = `
cyclic = {} cyclic[1] = cyclic cyclic.x = cyclic
vm = provium:vm("vm", "default"):boot()
local function each(list) local made = {} for i, f in ipairs(list) do made[i] = f end return made end
values = each { ${VALUES.map((value) => `function() return ${value} end`).join(", ")} }
further = each { ${FURTHER.map((value) => `function() return ${value} end`).join(", ")} }
calls, bugs = 0, {}
function attempt(name, call)
  for i, a in ipairs(values) do
    for j, b in ipairs(further) do
      for k = 1, 3 do
        if vm:state() == "paused" then vm:resume() elseif vm:state() ~= "booted" then vm:boot() end
        calls = calls + 1
        local ok, message = pcall(function()
          if k == 1 then return call(a(), b()) end
          if k == 2 then return call(1, a(), b()) end
          return call("x", a(), b(), {})
        end)
        if not ok and tostring(message):find("bug in provium", 1, true) then
          bugs[#bugs + 1] = name .. " with values " .. i .. ", " .. j .. ", " .. k .. ": " .. tostring(message)
        end
      end
    end
  end
end
`;

for (const [subject, methods] of Object.entries(SUBJECTS))
  test(`no argument makes a method of ${subject} a bug of ours`, () => {
    const w = world(subject.includes("x") || subject.includes("worker") ? answering() : refusing);
    try {
      w.lua(HARNESS);
      for (const name of methods.filter((method) => !WAITING.has(method))) {
        const call =
          subject === "json"
            ? `function(...) return json.${name}(...) end`
            : subject === "batch"
              ? `function(...) local given = table.pack(...) vm:batch(function(q) q:${name}(table.unpack(given, 1, given.n)) end) end`
              : `function(...) local subject = ${subject} return subject:${name}(...) end`;
        w.lua(`attempt([[${subject}:${name}]], ${call})`);
      }
      expect(w.lua('return table.concat(bugs, "\\n")')).toEqual([""]);
      expect(w.lua("return calls > 0")).toEqual([true]);
    } finally {
      w.close();
    }
  }, 60_000);
