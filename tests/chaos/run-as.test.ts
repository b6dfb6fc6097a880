/** QEMU as another user than root: it works with nothing but what it inherits, and says what it may not. */

import { expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, outcome, Project } from "./run.ts";

const EVERYTHING = `provium.timeout = "15m"
local g = provium:vm("g", "default"):boot { disks = { { size = "8M", id = "d" } } }
g:write_file("/tmp/a", "kept")
g:run("echo on the disk > " .. g:disk("d"):guest_path()):assert_ok()
local once = g:snapshot()
g:kill()
g:restore(once)
g:write_file("/tmp/b", "kept too")
local again = g:snapshot()
g:kill()
g:restore(again)
test("snapshots of snapshots hold what was written", function(t)
  t:assert_eq(g:read_file("/tmp/a") .. g:read_file("/tmp/b"), "keptkept too")
  t:assert_eq(g:run("head -c 11 " .. g:disk("d"):guest_path()).stdout, "on the disk")
end)
test("both consoles are heard", function(t)
  g:run("echo serial > /dev/ttyS0; echo virtio > /dev/hvc0"):assert_ok()
  wait_until(function()
    local log = g:console():read_log()
    return log:find("serial") and log:find("virtio")
  end, { timeout = "60s" })
end)
test("disks and interfaces are plugged in", function(t)
  local late = g:attach_disk { id = "late", size = "8M" }
  t:assert(g:run("test -b " .. late:guest_path()):ok())
  provium:bridge("b"):attach(g)
  t:assert(g:run("ls /sys/class/net"):assert_ok().stdout:find("eth"))
end)
test("so is a machine whose runs repeat", function(t)
  local d = provium:vm("d", "default", { deterministic = true }):boot()
  t:assert_eq(d:run("echo here; echo there > /dev/console").stdout, "here\\n")
  t:assert_contains(d:console():read_log(), "there")
  d:kill()
end)
test("waits", function() io.open("pending", "w"):close() g:run("sleep 600") end)
`;

const ids = (pid: number, field: string): string[] =>
  new RegExp(`^${field}:\\s*(.*)$`, "m")
    .exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    ?.trim()
    .split(/\s+/) ?? [];

const boots = `test("boots", function() provium:vm("g", "default"):boot() end)\n`;

// Only root can start a program as another user; everybody else is told so.
if (process.getuid?.() === 0) {
  test("every kind of machine runs as the user of run_as, who has no right to anything of ours", async () => {
    using project = new Project({
      "a.test.lua": EVERYTHING,
      "provium.toml": '[provium]\nrun_as = "nobody"\n',
    });
    const child = project.start(["-v"]);
    const ended = outcome(child);
    await eventually(
      "the machine runs",
      () => child.exitCode !== null || existsSync(join(project.directory, "pending")),
      600_000,
    );
    const qemu = project.processes().find(({ command }) => /qemu-system/.test(command))?.pid ?? 0;
    if (qemu === 0) throw new Error((await ended).text);
    const user = ids(process.pid, "Uid")[0];
    const [uid, ...others] = ids(qemu, "Uid");
    expect(uid).not.toBe(user);
    expect(others).toEqual([uid, uid, uid] as string[]);
    expect(ids(qemu, "Gid")).not.toContain("0");
    expect(ids(qemu, "Groups")).not.toContain("0");
    expect(ids(qemu, "CapEff")).toEqual(["0000000000000000"]);
    expect(ids(qemu, "NoNewPrivs")).toEqual(["1"]);
    // It ends with its runner although that is somebody else.
    process.kill(Number(ids(qemu, "PPid")[0]), "SIGKILL");
    const { text } = await ended;
    expect(text).toContain("PASS snapshots of snapshots hold what was written");
    expect(text).toContain("PASS both consoles are heard");
    expect(text).toContain("PASS disks and interfaces are plugged in");
    expect(text).toContain("PASS so is a machine whose runs repeat");
    await project.deserted();
    expect(project.runDirectories()).toEqual([]);
  }, 900_000);

  test("what QEMU itself would open is refused by the host, and the error says as whom", async () => {
    using project = new Project({
      "a.test.lua": boots.replace("default", "more"),
      secret: "for root",
      "provium.toml": `[profiles.more]\nkernel = "embedded"\nqemu_args = ["-drive", "if=none,format=raw,file=secret"]\n`,
    });
    chmodSync(join(project.directory, "secret"), 0o600);
    const { text, code } = await project.run(["--run-as", "nobody"]);
    expect(text).toContain("Permission denied");
    expect(text).toContain("it runs as `nobody` (run_as)");
    expect(code).toBe(1);
  });

  test("a QEMU that the user may not start is named", async () => {
    using project = new Project({ "a.test.lua": boots });
    const qemu = project.write("qemu", "#!/bin/sh\nexit 0\n");
    chmodSync(qemu, 0o755);
    const { text } = await project.run(["--run-as", "nobody", "--accel", "tcg"], { PROVIUM_QEMU: qemu });
    expect(text).toContain(`${qemu}: Permission denied`);
    expect(text).toContain("it runs as `nobody` (run_as)");
  });

  test("users that there are not, and root, are refused before anything starts", async () => {
    using project = new Project({ "a.test.lua": boots });
    const unknown = await project.run(["--run-as", "nobdy"]);
    expect(unknown.code).toBe(2);
    expect(unknown.text).toContain("run_as: QEMU cannot be started as `nobdy`: this host has no such user");
    const root = await project.run(["--run-as", "root"]);
    expect(root.code).toBe(2);
    expect(root.text).toContain("that is root, whom it already runs as");
  });
} else
  test("run_as without root is refused with the reason", async () => {
    using project = new Project({ "a.test.lua": boots });
    const { text, code } = await project.run(["--run-as", "nobody"]);
    expect(code).toBe(2);
    expect(text).toContain("only root can start a program as another user");
  });

test("on the local VMM, where no QEMU runs, run_as means nothing", async () => {
  using project = new Project({ "a.test.lua": boots });
  expect((await project.run(["--vmm", "local", "--run-as", "nobody"])).code).toBe(0);
});
