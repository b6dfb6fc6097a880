/** `make bench`: every figure, as ratios measured side by side. `bun tests/bench/run.ts NAME…` runs some. */

export {};

const BENCHES: Readonly<Record<string, { readonly what: string; readonly command: readonly string[] }>> = {
  start: { what: "start-up and size of the executable", command: ["bun", "tests/bench/start.ts"] },
  files: { what: "1,000 files of 10 tests on the local VMM", command: ["bun", "tests/bench/files.ts"] },
  pool: { what: "how full the pool is under a mixed load", command: ["bun", "tests/bench/pool.ts"] },
  events: {
    what: "a run with a recording of its events against one without",
    command: ["bun", "tests/bench/events.ts"],
  },
  boot: {
    what: "boot to READY against the bare kernel's floor",
    command: ["bun", "tests/bench/boot/ready.ts"],
  },
  channel: {
    what: "calls and bulk data against the raw channel",
    command: ["bun", "tests/bench/channel/run.ts"],
  },
  guest: {
    what: "commands, workers, streams and the console as a test uses them, and what they leave in memory",
    command: ["bun", "tests/bench/guest/run.ts"],
  },
  snapshot: {
    what: "restore against boot, reset between tests, memory of clones, QEMU's own ways",
    command: ["bun", "tests/bench/snapshot/run.ts"],
  },
  network: {
    what: "the userland switch and the kernel's bridge against a socket pair and a process that only copies",
    command: ["bun", "tests/bench/network/run.ts"],
  },
  guests: {
    what: "a bridge between two guests against a bare wire from QEMU to QEMU, and sixteen guests on one bridge",
    command: ["bun", "tests/bench/network/guests.ts"],
  },
  disk: {
    what: "a guest's I/O through the process behind each disk against a plain file",
    command: ["bun", "tests/bench/disk/run.ts"],
  },
  fixtures: { what: "a cache hit against a boot", command: ["bun", "tests/bench/fixtures.ts"] },
  lua: { what: "Lua against stock fengari and PUC Lua", command: ["bun", "tests/bench/lua/run.ts"] },
};

const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(BENCHES)) {
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(`unknown bench ${name} (known: ${Object.keys(BENCHES).join(", ")})`);
    process.exit(2);
  }
  console.log(`\n=== ${name}: ${bench.what}`);
  const child = Bun.spawn([...bench.command], { stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) process.exitCode = 1;
}
