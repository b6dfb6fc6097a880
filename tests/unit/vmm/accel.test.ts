import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError } from "../../../src/errors/errors.ts";
import { HOST_ARCHITECTURE } from "../../../src/sys/architecture.ts";
import { chooseAcceleration } from "../../../src/vmm/accel.ts";
import { PROBES } from "../../../src/vmm/probe-rom.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-accel-"));
afterAll(() => rmSync(directory, { recursive: true }));
const device = join(directory, "kvm");
writeFileSync(device, "");

const PROOF = PROBES[HOST_ARCHITECTURE].proof;

/** A QEMU of a few lines: greets on descriptor 3, answers both commands, then does `then`. Counts its starts. */
const fakeQemu = (name: string, then: string): { env: Record<string, string>; starts: () => number } => {
  const path = join(directory, name);
  const log = `${path}.log`;
  writeFileSync(log, "");
  writeFileSync(
    path,
    `#!/bin/sh
echo start >> ${log}
echo '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}' >&3
read -r line <&3; echo '{"return": {}, "id": 1}' >&3
read -r line <&3; echo '{"return": {}, "id": 2}' >&3
${then}
`,
  );
  chmodSync(path, 0o755);
  return {
    env: { PATH: "/usr/bin:/bin", PROVIUM_QEMU: path },
    starts: () => readFileSync(log, "utf8").split("\n").length - 1,
  };
};

let caches = 0;
const host = (
  env: Record<string, string>,
  bootId = "boot-1",
  cacheDir = join(directory, `cache${caches++}`),
) => ({
  cacheDir,
  bootId,
  env,
  device,
});

test("tcg is taken at its word, without starting anything", () => {
  expect(chooseAcceleration("tcg", host({ PATH: "" }))).toEqual({ accel: "tcg", reason: undefined });
});

test("a virtual CPU that comes back proves KVM", () => {
  const { env } = fakeQemu("proves", `exit ${PROOF}`);
  expect(chooseAcceleration("auto", host(env))).toEqual({ accel: "kvm", reason: undefined });
});

test("a virtual CPU that does not come back means TCG, and says so in one line", () => {
  const { env } = fakeQemu("hangs", "exec sleep 1000");
  expect(chooseAcceleration("auto", host(env))).toEqual({
    accel: "tcg",
    reason: "KVM opens but a virtual CPU did not come back within 1 s: using TCG",
  });
});

test("a virtual CPU has time to come back when other programs have the processors", () => {
  // It needs 300 ms of a processor that it shares with three who never stop.
  const first = Number.parseInt(
    /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "",
    10,
  );
  const work = `for (let used = 0; used < 3e5; ) { const { user, system } = process.cpuUsage(); used = user + system; } process.exit(${PROOF})`;
  const { env } = fakeQemu("queued", `exec taskset -c ${first} ${process.execPath} -e '${work}'`);
  const others = [1, 2, 3].map(() =>
    Bun.spawn(["taskset", "-c", `${first}`, "sh", "-c", "while :; do :; done"]),
  );
  try {
    expect(chooseAcceleration("auto", host(env))).toEqual({ accel: "kvm", reason: undefined });
  } finally {
    for (const other of others) other.kill();
  }
}, 30_000);

test("what QEMU says itself is asked for again, as it may change", () => {
  const { env, starts } = fakeQemu("says", "exit 1");
  const cacheDir = join(directory, "says-cache");
  for (let i = 0; i < 2; i++)
    expect(chooseAcceleration("auto", host(env, "boot-1", cacheDir)).accel).toBe("tcg");
  expect(starts()).toBe(2);
});

test("a fault that is remembered is looked at again for who insists", () => {
  const cacheDir = join(directory, "insists-cache");
  const hanging = host(fakeQemu("hangs once", "exec sleep 1000").env, "boot-1", cacheDir);
  const { env, starts } = fakeQemu("mended", `exit ${PROOF}`);
  const mended = host(env, "boot-1", cacheDir);
  expect(chooseAcceleration("auto", hanging).accel).toBe("tcg");
  expect(chooseAcceleration("auto", mended).accel).toBe("tcg");
  expect(starts()).toBe(0);
  expect(chooseAcceleration("kvm", mended).accel).toBe("kvm");
  expect(chooseAcceleration("auto", mended).accel).toBe("kvm");
  expect(starts()).toBe(1);
  expect(() => chooseAcceleration("kvm", host(hanging.env))).toThrow(HostError);
  expect(chooseAcceleration("auto", { ...mended, anew: true }).accel).toBe("kvm");
});

test("a QEMU that ends at once is quoted", () => {
  const { env } = fakeQemu("fails", "echo 'qemu-system-x86_64: error: failed to set MSR' >&2; exit 1");
  expect(chooseAcceleration("auto", host(env)).reason).toBe(
    "KVM opens but QEMU could not run a virtual CPU (error: failed to set MSR): using TCG",
  );
});

test("the answer is asked for once per boot of the host", () => {
  const { env, starts } = fakeQemu("counted", `exit ${PROOF}`);
  const cacheDir = join(directory, "shared");
  for (let i = 0; i < 3; i++) chooseAcceleration("auto", host(env, "boot-1", cacheDir));
  expect(starts()).toBe(1);
  chooseAcceleration("auto", host(env, "boot-2", cacheDir));
  expect(starts()).toBe(2);
  expect(readdirSync(cacheDir)).toEqual(["accel-boot-2"]);
});

test("an answer that is not all there is none, and is replaced for who reads it meanwhile", () => {
  const { env, starts } = fakeQemu("halved", `exit ${PROOF}`);
  const cacheDir = join(directory, "halved-cache");
  mkdirSync(cacheDir);
  // As another run leaves it between opening the file and writing to it.
  writeFileSync(join(cacheDir, "accel-boot-1"), "");
  linkSync(join(cacheDir, "accel-boot-1"), join(directory, "reader"));
  for (let i = 0; i < 2; i++)
    expect(chooseAcceleration("auto", host(env, "boot-1", cacheDir)).accel).toBe("kvm");
  expect(starts()).toBe(1);
  expect(readFileSync(join(directory, "reader"), "utf8")).toBe("");
});

test("the probe has no name that another run could come across", () => {
  const seen = join(directory, "seen");
  const cacheDir = join(directory, "nameless");
  mkdirSync(cacheDir);
  const { env } = fakeQemu(
    "looks",
    `wc -c < /proc/self/fd/4 > ${seen}; ls ${cacheDir} >> ${seen}; exit ${PROOF}`,
  );
  expect(chooseAcceleration("auto", host(env, "boot-1", cacheDir)).accel).toBe("kvm");
  expect(readFileSync(seen, "utf8")).toBe(`${PROBES[HOST_ARCHITECTURE].image().byteLength}\n`);
});

test("runs as different users keep an answer each", () => {
  const { env, starts } = fakeQemu("users", `exit ${PROOF}`);
  const cacheDir = join(directory, "users-cache");
  mkdirSync(cacheDir);
  writeFileSync(join(cacheDir, "accel-boot-1-as-4711"), "another fault\n");
  writeFileSync(join(cacheDir, "accel-boot-0"), "\n");
  chooseAcceleration("auto", host(env, "boot-1", cacheDir));
  expect(starts()).toBe(1);
  expect(readdirSync(cacheDir).sort()).toEqual(["accel-boot-1", "accel-boot-1-as-4711"]);
});

test("kvm that was asked for and does not work is an error with a way out", () => {
  const { env } = fakeQemu("refused", "exit 1");
  expect(() => chooseAcceleration("kvm", host(env))).toThrow(HostError);
});

test("a missing device is TCG without a start of QEMU", () => {
  const { env, starts } = fakeQemu("unused", "exit 1");
  const without = { ...host(env), device: join(directory, "none") };
  expect(chooseAcceleration("auto", without).reason).toBe(`there is no ${without.device}: using TCG`);
  expect(starts()).toBe(0);
});

test("the probe image runs 64-bit code to its end on an emulated CPU", () => {
  const qemu = Bun.which("qemu-system-x86_64");
  if (qemu === null) return;
  const path = join(directory, "emulated");
  writeFileSync(
    path,
    `#!/bin/sh\nexec ${qemu} $(echo "$*" | sed 's/-accel kvm -cpu host/-accel tcg -cpu max/')\n`,
  );
  chmodSync(path, 0o755);
  const env = { PATH: "/usr/bin:/bin", PROVIUM_QEMU: path };
  expect(chooseAcceleration("auto", host(env))).toEqual({ accel: "kvm", reason: undefined });
});
