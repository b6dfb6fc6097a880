/**
 * A guest's I/O through the process behind each disk, beside the same QEMU with the image as a plain file on the same
 * machine, interleaved in one run. Then what plugging and a change of faults take. Prints medians and ratios.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "../statistics.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 7);
const PLUGS = 20;
const SIZE = 64 * 1024 * 1024;
/** At least this share of the plain file's speed. */
const WANTED = 0.8;

const KINDS = [
  ["sequential read, 1 MiB", "read sequential 1048576 64"],
  ["sequential write, 1 MiB", "write sequential 1048576 64"],
  ["random read, 4 KiB", "read random 4096 2000"],
  ["random write, 4 KiB", "write random 4096 2000"],
] as const;

const directory = mkdtempSync(join(tmpdir(), "provium-bench-disk-"));
const plain = join(directory, "plain");
const io = join(directory, "io");

const suite = `
provium.timeout = "900s"
local g = provium:vm("g", "bench"):boot{ disks = { { id = "ours", size = ${SIZE} } }, files = { { path = "/io", host = "${io}", mode = "0755" } } }
local ours, plain = g:disk("ours"):guest_path(), nil
for name in g:run("ls /sys/block"):assert_ok().stdout:gmatch("vd%a") do
  if g:read_file("/sys/block/" .. name .. "/serial"):match("^plain") then plain = "/dev/" .. name end
end
local out = {}
local clock = g:clock()
local function say(...) out[#out + 1] = table.concat({ ... }, " ") end
test("measure", function()
  local kinds = { ${KINDS.map(([, words]) => `"${words}"`).join(", ")} }
  for _, device in ipairs{ ours, plain } do g:run("/io " .. device .. " write sequential 1048576 64 0"):assert_ok() end
  for round = 1, ${ROUNDS} do
    for i, kind in ipairs(kinds) do
      local turn = round % 2 == 0 and { "ours", "plain" } or { "plain", "ours" }
      for _, which in ipairs(turn) do
        local device = which == "ours" and ours or plain
        say("io", i, which, (g:run("/io " .. device .. " " .. kind .. " " .. round):assert_ok().stdout:trim()))
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
    took("fault", function() d:fault_inject("eio_read") end)
    took("clear", function() d:clear_faults() end)
    took("detach", function() d:detach() end)
  end
  local f = assert(io.open("${join(directory, "figures")}", "w"))
  f:write(table.concat(out, "\\n"), "\\n")
  f:close()
end)
`;

const seconds = (nanoseconds: number): string =>
  nanoseconds < 1e7 ? `${(nanoseconds / 1e6).toFixed(2)} ms` : `${(nanoseconds / 1e6).toFixed(0)} ms`;

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
  Bun.spawnSync(["truncate", "-s", String(SIZE), plain]);
  const qemu = [
    ...["-blockdev", `{"driver":"file","node-name":"plain","filename":"${plain}"}`],
    ...["-device", "virtio-blk-pci,bus=pcie.0,addr=0x8,drive=plain,serial=plain,disable-legacy=on"],
  ];
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
  KINDS.forEach(([name], i) => {
    const [ours, plainly] = [
      median(of("io", String(i + 1), "ours")),
      median(of("io", String(i + 1), "plain")),
    ];
    const ratio = plainly / ours;
    console.log(
      `${name.padEnd(26)} ours ${seconds(ours).padStart(9)}   plain ${seconds(plainly).padStart(9)}   ${ratio.toFixed(2)} of its speed${ratio < WANTED ? "  (too slow)" : ""}`,
    );
  });
  for (const what of ["attach", "detach", "fault", "clear"])
    console.log(`${what.padEnd(26)} p50 ${seconds(median(of(what)))} of ${PLUGS}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
