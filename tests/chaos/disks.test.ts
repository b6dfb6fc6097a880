/** Disks whose host lets them down, and what a run says about repeating itself. */

import { expect, test } from "bun:test";
import { dirname } from "node:path";
import { EXECUTABLE, outcome, Project } from "./run.ts";

const FULL = `local g = provium:vm("g", "default"):boot{ disks = { { id = "d", path = "small/image" } } }
local function write(words) return g:run("dd if=/dev/zero of=/dev/vda bs=64k oflag=direct " .. words .. " 2>&1") end

test("the guest feels it, goes on, and writes again when there is room", function(t)
  write("count=16"):assert_ok()
  local full = write("count=256")
  t:assert(not full:ok(), "four megabytes took sixteen")
  t:assert_contains(full.stdout, "error")
  write("count=16"):assert_ok()
  t:assert_contains(tostring(t:assert_raises(function() g:disk("d"):write_sectors(100000, ("x"):rep(65536)) end)),
    "(ENOSPC)")
  os.remove("small/fill")
  write("count=96"):assert_ok()
end)
`;

/** Runs the project's tests in a mount namespace of their own, prepared by a line of shell. */
const runBehind = (project: Project, mounts: string) =>
  outcome(
    Bun.spawn(
      [
        "unshare",
        process.getuid?.() === 0 ? "-m" : "-rm",
        ...["bash", "-c", `${mounts} && exec "$0" -v`, EXECUTABLE],
      ],
      {
        cwd: project.directory,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, NO_COLOR: "1", PROVIUM_TMPDIR: project.temp },
      },
    ),
  );

test("a host disk that is full under a sparse image fails the guest's writes, not the run, which says so once", async () => {
  using project = new Project({ "a.test.lua": FULL, "small/below": "" });
  const { code, text } = await runBehind(
    project,
    "mount -t tmpfs -o size=8m tmpfs small && head -c 4M /dev/zero >small/fill && truncate -s 64M small/image",
  );
  expect([text, code]).toEqual([text, 0]);
  expect(text.match(/disk `d`: writing its image \S+ failed at byte \d+: no space left/gi)).toHaveLength(1);
}, 300_000);

const FROZEN = `test("readonly", function(t)
  local v = provium:vm("v", "default")
  for _, format in ipairs{ "raw", "qcow2" } do
    local image = { image = "frozen/" .. format, format = format }
    local err = tostring(t:assert_raises(function() v:attach_disk(image) end))
    t:assert_contains(err, "Read-only file system")
    t:assert_contains(err, "A file that may only be read is attached with readonly = true.")
    image.readonly = true
    v:attach_disk(image):detach()
  end
end)
`;

test("an image on a file system that may only be read is refused with the way to use it", async () => {
  using project = new Project({ "a.test.lua": FROZEN, "frozen/below": "" });
  const { code, text } = await runBehind(
    project,
    "mount -t tmpfs tmpfs frozen && truncate -s 1M frozen/raw && qemu-img create -q -f qcow2 frozen/qcow2 1M && mount -o remount,ro frozen",
  );
  expect([text, code]).toEqual([text, 0]);
}, 60_000);

const DRAWS = `local v = provium:vm("v", "default")
test("before", function() math.random() end)
test("draws", { timeout = "900s" }, function(t)
  local g = provium:vm("g", "default", { deterministic = true, boot_timeout = "120s" }):boot()
  local bytes = g:run("head -c 16 /dev/urandom | od -An -tx1"):assert_ok().stdout:gsub("%s", "")
  local d, strikes = v:attach_disk{ size = "1M" }, {}
  d:fault_inject("eio_read", { probability = 0.5 })
  for i = 1, 32 do strikes[i] = pcall(d.read_sectors, d, i, 1) and "." or "x" end
  error(("drew %d, the guest read %s, the disk %s"):format(math.random(1 << 60), bytes, table.concat(strikes)), 0)
end)
`;

test("the line that a failed test names repeats its draws, its guest's random bytes and its disk's faults", async () => {
  using project = new Project({ "a.test.lua": DRAWS });
  const first = await project.run([]);
  const line = /again: (provium .*)/.exec(first.text)?.[1] ?? "";
  expect(line).toMatch(/^provium a\.test\.lua --seed \d+ --test draws$/);
  const what = /drew \d+, the guest read [0-9a-f]{32}, the disk [.x]{32}/;
  const failed = what.exec(first.text)?.[0];
  expect(failed).toMatch(what);
  const again = await outcome(
    Bun.spawn(["bash", "-c", line], {
      cwd: project.directory,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: {
        ...process.env,
        PATH: `${dirname(EXECUTABLE)}:${process.env.PATH}`,
        NO_COLOR: "1",
        PROVIUM_TMPDIR: project.temp,
      },
    }),
  );
  expect(what.exec(again.text)?.[0]).toBe(failed as string);
}, 900_000);
