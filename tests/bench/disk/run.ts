/**
 * A guest's I/O through the process behind each disk, beside the same QEMU with the image as a plain file on the same
 * machine, interleaved in one run. Twice, because flushes count: images of the user's own, whose flushes reach the
 * host's storage on both sides, and temporary ones, whose flushes do on neither. Then what plugging and a change of
 * faults take. Prints medians, and the median of the rounds' ratios.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "../statistics.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 15);
const PLUGS = 20;
/** Changes of faults on each plugged disk, half of them on, half off: one is too short to be timed from the guest. */
const SWITCHES = 100;
const SIZE = 64 * 1024 * 1024;
/** At least this share of the plain file's speed. */
const WANTED = 0.8;

const KINDS = [
  ["sequential read, 1 MiB", "read sequential 1048576 64"],
  ["sequential write, 1 MiB", "write sequential 1048576 64"],
  ["random read, 4 KiB", "read random 4096 500"],
  ["random write, 4 KiB", "write random 4096 500"],
] as const;

const directory = mkdtempSync(join(tmpdir(), "provium-bench-disk-"));
const image = (name: string): string => join(directory, name);
const io = join(directory, "io");

/** Each pair: our disk and the plain one that treats flushes alike, by serial number. */
const PAIRS = [
  { what: "an image of one's own, flushed", ours: "ours", plain: "plain" },
  { what: "a temporary image, not flushed", ours: "oursTemporary", plain: "plainUnflushed" },
] as const;

const suite = `
provium.timeout = "900s"
local g = provium:vm("g", "bench"):boot{
  disks = { { id = "ours", path = "${image("ours")}" }, { id = "oursTemporary", size = ${SIZE} } },
  files = { { path = "/io", host = "${io}", mode = "0755" } },
}
local devices = {}
for name in g:run("ls /sys/block"):assert_ok().stdout:gmatch("vd%a") do
  devices[g:read_file("/sys/block/" .. name .. "/serial"):match("^%w+")] = "/dev/" .. name
end
local pairs_of = { ${PAIRS.map(({ ours, plain }) => `{ "${ours}", "${plain}" }`).join(", ")} }
local out = {}
local clock = g:clock()
local function say(...) out[#out + 1] = table.concat({ ... }, " ") end
test("measure", function()
  local kinds = { ${KINDS.map(([, words]) => `"${words}"`).join(", ")} }
  for _, device in pairs(devices) do g:run("/io " .. device .. " write sequential 1048576 64 0"):assert_ok() end
  for round = 1, ${ROUNDS} do
    for i, kind in ipairs(kinds) do
      for _, pair in ipairs(pairs_of) do
        for turn = 0, 1 do
          local which = pair[(round + turn) % 2 + 1]
          say("io", i, which, (g:run("/io " .. devices[which] .. " " .. kind .. " " .. round):assert_ok().stdout:trim()))
        end
      end
    end
  end
  local function took(what, f)
    -- The guest's clock is the host's pace; what asking for it takes is measured along and taken off.
    local asked = clock:get_ns()
    local start = clock:get_ns()
    local result = f()
    say(what, math.max(0, clock:get_ns() - start - (start - asked)))
    return result
  end
  for i = 1, ${PLUGS} do
    local d = took("attach", function() return g:attach_disk{ id = "plug" .. i, size = "1M" } end)
    took("switch", function()
      for _ = 1, ${SWITCHES / 2} do
        d:fault_inject("eio_read")
        d:clear_faults()
      end
    end)
    took("detach", function() d:detach() end)
  end
  local f = assert(io.open("${join(directory, "figures")}", "w"))
  f:write(table.concat(out, "\\n"), "\\n")
  f:close()
end)
`;

const shown = (nanoseconds: number): string =>
  `${(nanoseconds / 1e6).toFixed(nanoseconds < 1e7 ? 2 : 0)} ms`.padStart(8);

try {
  const built = Bun.spawnSync([
    "musl-gcc",
    "-static",
    "-s",
    "-O2",
    "-D_GNU_SOURCE",
    "-o",
    io,
    "tests/bench/disk/io.c",
  ]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  const plain = (name: string, slot: number, flushes: boolean): string[] => [
    ...[
      "-blockdev",
      `{"driver":"file","node-name":"${name}","filename":"${image(name)}","cache":{"no-flush":${!flushes}}}`,
    ],
    ...["-device", `virtio-blk-pci,bus=pcie.0,addr=${slot},drive=${name},serial=${name},disable-legacy=on`],
  ];
  const qemu = [...plain("plain", 8, true), ...plain("plainUnflushed", 9, false)];
  for (const name of ["ours", "plain", "plainUnflushed"])
    Bun.spawnSync(["truncate", "-s", String(SIZE), image(name)]);
  writeFileSync(
    join(directory, "provium.toml"),
    `[profile.bench]\nkernel = "embedded"\nqemu_args = ${JSON.stringify(qemu)}\n`,
  );
  writeFileSync(join(directory, "disk.test.lua"), suite);
  const run = Bun.spawnSync([
    resolve("dist/provium"),
    "test",
    join(directory, "disk.test.lua"),
    "--config",
    join(directory, "provium.toml"),
  ]);
  if (run.exitCode !== 0) throw new Error(run.stdout.toString() + run.stderr.toString());
  const lines = (await Bun.file(join(directory, "figures")).text()).trim().split("\n");
  const of = (...words: string[]): number[] =>
    lines
      .filter((line) => line.startsWith(`${words.join(" ")} `))
      .map((line) => Number(line.split(" ").at(-1)));
  for (const { what, ours, plain } of PAIRS) {
    console.log(what);
    KINDS.forEach(([name], i) => {
      const [mine, theirs] = [of("io", String(i + 1), ours), of("io", String(i + 1), plain)];
      // Each round's own ratio, so that what else the host does meets both sides.
      const share = median(mine.map((took, round) => (theirs[round] as number) / took));
      const best = Math.min(...theirs) / Math.min(...mine);
      console.log(
        `  ${name.padEnd(24)} ours ${shown(median(mine))}   plain ${shown(median(theirs))}   ${share.toFixed(2)} of its speed (best of each: ${best.toFixed(2)})${share < WANTED ? "  too slow" : ""}`,
      );
    });
  }
  for (const [what, times] of [
    ["attach", 1],
    ["detach", 1],
    ["switch", SWITCHES],
  ] as const)
    console.log(`${what.padEnd(26)} p50 ${shown(median(of(what)) / times)} of ${PLUGS}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
