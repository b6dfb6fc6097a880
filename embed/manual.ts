/** Writes docs/lua-api.md from the definitions that the Lua objects are made of: `bun embed/manual.ts`. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import "../src/api/install.ts";
import { fixtureFunctions } from "../src/api/fixture.ts";
import { JSON_FUNCTIONS } from "../src/api/json.ts";
import { LAB_METHODS } from "../src/api/lab.ts";
import { packFunctions } from "../src/api/pack-functions.ts";
import { PCAP_FUNCTIONS } from "../src/api/pcap.ts";
import { classicFunctions, TASK_METHODS } from "../src/api/provium.ts";
import { SYS_DOC } from "../src/api/sys.ts";
import { VM_METHOD_GROUPS } from "../src/api/vm.ts";
import { WORKER_METHODS } from "../src/api/worker.ts";
import { definedClasses } from "../src/lua/native.ts";
import "../src/runner/context.ts";

interface Described {
  readonly signature: string;
  readonly doc: string;
}

const entry = (name: string, { signature, doc }: Described): string => `- **\`${name}${signature}\`** ${doc}`;
const entries = (prefix: string, methods: Readonly<Record<string, Described>>): string =>
  Object.entries(methods)
    .map(([name, method]) => entry(`${prefix}${name}`, method))
    .join("\n");

/** Methods and fields of a class by its Lua name. */
const classSection = (name: string, prefix: string): string => {
  const found = definedClasses().find((definition) => definition.name === name);
  if (found === undefined) throw new Error(`no class ${name}`);
  const fields = Object.entries(found.fields ?? {}).map(
    ([field, { type, doc }]) => `- **\`${prefix}.${field}\`** (${type}) ${doc}`,
  );
  return [found.doc, [...fields, entries(`${prefix}:`, found.methods)].join("\n")].join("\n\n");
};

const TEXT = `# Lua API

Made from the definitions in \`src/\` by \`bun embed/manual.ts\`; everything that exists is on this page.

Tests are Lua 5.4 with 64-bit integers. Two APIs live side by side, and a file may mix them:

- **lab**: \`provium:vm("web", "default"):boot()\`. Machines have names, live in labs, and end with the test or file that made them. \`syscall\` and \`ioctl\` return tables.
- **classic**: \`provium.create("default"):boot()\`. Machines live as long as the file. \`syscall\` returns the kernel's integer (\`-errno\` for a failure), \`ioctl\` two values.

Every handle has all methods; \`handle:as("classic")\` and \`handle:as("lab")\` change the view of the same machine.

A file is of one **dialect**, which decides when tests run: in a lab file after the whole file has been read, one after another; in a classic file where they stand. A comment \`--!provium lab\` or \`--!provium classic\` among the first lines says which; otherwise it is told from what the file uses, and in doubt \`*.test.lua\` is lab.

**Durations** are seconds as a number or texts such as \`"500ms"\`, \`"5s"\`, \`"2m"\`, \`"1h"\`. **Sizes** are bytes as a number or texts such as \`"512M"\`, \`"2G"\`; a text of digits alone is MiB on a classic handle and bytes on a lab handle. **Strings** are bytes: nothing is decoded on the way. **Relative host paths** start at the calling Lua file, those of classic boot options at the directory of \`provium.toml\`. **Errors** are strings with file and line; wrong arguments are named with what was received and what is allowed.

## Globals

- **\`test(name, meta?, fn)\`** Declares a test; \`fn\` receives its context \`t\`. \`meta\` may hold \`tags\` (a string or a list), \`skip\` (true or a reason), \`slow\`, \`timeout\` (0: none), \`spec\` and anything else, which goes into the events.
- **\`todo(reason?)\`** In a test: skips it. At the top level of a lab file: skips every test of the file, of a classic file: ends it.
- **\`assert(v, message?)\`**, **\`assert_eq(a, b, message?)\`**, **\`assert_contains(haystack, needle, message?)\`** Raise when they do not hold. \`assert_eq\` also compares plain tables by content.
`;

const BOOT_OPTIONS = `### Boot options

Accepted by \`lab:vm(name, profile, opts)\` and \`vm:boot(opts)\`; the later ones are laid on the earlier ones, and a second boot keeps them.

| key | value | default |
|---|---|---|
| \`memory\` | size, at least 16M | the profile's, 512M |
| \`cpus\` | 1 to 255 | the profile's, 1 |
| \`files\` | a map of guest path to host path, or a list of \`{path, content or host, mode}\`, or both in one table. \`mode\` (also \`perm\`) is a number or octal text such as \`"0755"\`; without it a host file keeps its own. They are there before init runs. | |
| \`disks\` | a list of \`{path or size, format = "raw" or "qcow2", readonly, id}\`: \`/dev/vda\`, \`/dev/vdb\`, …; see [disks](disks.md) | |
| \`kernel_cmdline\` | replaces the profile's command line | |
| \`kernel_cmdline_append\` | words added to it | |
| \`rng_seed\` | integer, seeds the guest's entropy | |
| \`initial_time\` | seconds since the epoch up to the year 2232, fractions too: the guest's clock when its kernel began | the host's time |
| \`deterministic\` | true: equal runs are equal to the byte; see [determinism](determinism.md) | false |
| \`boot_timeout\`, \`agent_timeout\` | duration; times 4 without hardware acceleration | 30 s |`;

const BRIDGES = `Options of \`lab:bridge(name, opts)\` are those of a bridge that does not exist yet; see [networks](networks.md).

| key | value | default |
|---|---|---|
| \`subnet\` | an IPv4 network such as \`"10.1.2.0/24"\`, /8 to /28 | the next of 10.89.0.0/24, 10.89.1.0/24, … |
| \`addressing\` | \`"auto"\`: members get addresses and names; \`"none"\`: their networks are left alone | \`"auto"\` |
| \`dhcp\` | true: a responder offers the same addresses to the guests' own DHCP clients, and the agent sets none | false |
| \`mtu\` | 576 to 9216 | 1500 |
| \`seed\` | integer: what loss and other chances are drawn from | made from the bridge's name |`;

const STRINGS = `## Strings

Every string has what the classic API's output objects have, with a dot or a colon: \`s.value\`, \`s.contains(text)\`, \`s.starts_with(text)\`, \`s.trim()\`.`;

const WAITING = {
  wait_until: {
    signature: "(predicate: function, opts?: {timeout?, interval?, desc?}): any",
    doc: "Calls the predicate until it returns something true, and returns that. Defaults: 10 s, every 0.1 s (`vm:wait_until`: 0.5 s). An error in the predicate ends the wait.",
  },
};

export const manual = (): string =>
  [
    TEXT.trimEnd(),
    entries("", WAITING),
    entries("json.", Object.fromEntries(Object.entries(JSON_FUNCTIONS))),
    "\n## provium\n",
    "The root lab of the file, with all methods of a lab, and the module of the classic API. `provium.<name>` is the VM or sub-lab of that name, then a classic function, then what the file itself has assigned.\n\n- **`provium.timeout`** Deadline of each test of the file that has none in its `meta`: a duration, 0 for none. Assigned inside a test it moves the running deadline.\n- **`provium.reset_between_tests`** true: before each further test the VMs of the file are put back to where they stood at the end of its top level ([snapshots.md](snapshots.md)).",
    `- **\`provium.sys\`** ${SYS_DOC}`,
    entries("provium.", classicFunctions(null as never)),
    entries("provium.", packFunctions(null as never)),
    entries("provium.", PCAP_FUNCTIONS),
    entries("provium:", TASK_METHODS),
    "\n## lab\n",
    "A name space of machines. The names of the file are visible in its tests; what a test declares ends with it.\n",
    entries("lab:", LAB_METHODS),
    entries("lab:", fixtureFunctions(null as never, null as never)),
    `\n## Bridge\n\n${BRIDGES}\n\n${classSection("Bridge", "bridge")}`,
    `\n## Nic\n\n${classSection("Nic", "nic")}`,
    `\n## Capture\n\n${classSection("Capture", "capture")}`,
    "\n## vm\n",
    BOOT_OPTIONS,
    ...Object.entries(VM_METHOD_GROUPS).map(
      ([title, methods]) => `\n### ${title}\n\n${entries("vm:", methods)}`,
    ),
    "\n## Worker\n",
    "A further task of a guest, with credentials, working directory and identity of its own; `thread = true` shares memory and descriptors with the task that made it. Workers have every method of a VM under Commands, Background jobs, Files, System calls and Clock, console, batch, and these:\n",
    entries("worker:", WORKER_METHODS),
    `\n## Snapshot, LabSnapshot\n\nWhat \`vm:snapshot\` and \`lab:snapshot\` return ([snapshots.md](snapshots.md)).\n\n${classSection("Snapshot", "snap")}`,
    `\n## Disk\n\n${classSection("Disk", "disk")}`,
    `\n## Process\n\n${classSection("Process", "p")}`,
    `\n## File\n\n${classSection("File", "f")}`,
    `\n## Tail\n\n${classSection("Tail", "s")}`,
    `\n## ConsoleStream\n\nWhat a console says from now on, with the fields and methods of Tail.`,
    `\n## PendingCall\n\n${classSection("PendingCall", "call")}`,
    `\n## RunResult\n\n${classSection("RunResult", "r")}`,
    `\n## Clock\n\n${classSection("Clock", "clock")}`,
    `\n## Console\n\n${classSection("Console", "console")}`,
    `\n## Batch\n\n${classSection("Batch", "q")}`,
    `\n## Task\n\n${classSection("task", "task")}`,
    `\n## t\n\n${classSection("test context", "t")}`,
    `\n${STRINGS}`,
    "",
  ].join("\n");

if (import.meta.main) writeFileSync(join(import.meta.dir, "../docs/lua-api.md"), manual());
