/**
 * The same machine brought back in four ways, each to the moment at which it runs: ours, QEMU's full migration
 * stream, `-loadvm` in a new process and `loadvm` in the running one. In turns. Needs `make build` before.
 */

import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  DEFAULT_GUEST_CMDLINE,
  DEFAULT_GUEST_INIT,
  installDefaultGuest,
} from "../../../src/boot/default-guest.ts";
import { BootService } from "../../../src/boot/service.ts";
import { openGuest } from "../../../src/guest/session.ts";
import type { LaunchSpec, Machine } from "../../../src/lab/ports.ts";
import { after, monotonic, type Op, sleep } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { QemuVmm } from "../../../src/vmm/qemu.ts";
import type { Qmp } from "../../../src/vmm/qmp.ts";
import { createSnapshotFiles } from "../../../src/vmm/snapshot-files.ts";
import { median } from "../statistics.ts";

const BUILD = join(import.meta.dir, "../../../build");
const WAIT_MS = 300_000;
const MEBIBYTE = 2 ** 20;

/** A machine's monitor, which it keeps to itself otherwise. */
const monitor = (machine: Machine): Qmp => (machine as unknown as { parts: { qmp: Qmp } }).parts.qmp;

function* hmp(machine: Machine, line: string): Op<void> {
  const args = { "command-line": line };
  const said = yield* monitor(machine).execute("human-monitor-command", args, after(WAIT_MS));
  if (String(said).trim() !== "") throw new Error(`${line}: ${said}`);
}

/** Waits until a query answers with this status. */
function* status(machine: Machine, query: string, wanted: string): Op<void> {
  for (;;) {
    const answer = (yield* monitor(machine).execute(query, undefined, after(WAIT_MS))) as { status?: string };
    if (answer.status === wanted) return;
    if (answer.status === "failed") throw new Error(`${query}: ${JSON.stringify(answer)}`);
    yield* sleep(1);
  }
}

const kernelOf = async (directory: string): Promise<Pick<LaunchSpec, "kernel" | "initrd" | "cmdline">> => {
  const part = (name: string): Uint8Array => readFileSync(join(BUILD, "guest", name));
  const files = installDefaultGuest(
    {
      vmlinux: part("vmlinux.zst"),
      initrd: part("initrd.cpio.zst"),
      modules: part("modules.cpio.zst"),
      manifest: readFileSync(join(BUILD, "guest/manifest"), "utf8"),
    },
    directory,
  );
  const tool = (name: string): string => join(BUILD, "agent", name);
  const boot = new BootService({
    cacheDir: join(directory, "cache"),
    programs: () => ({
      agent: readFileSync(tool("provium-agent")),
      wrapper: readFileSync(tool("provium-wrapper")),
    }),
    helper: tool("provium-helper"),
    flagsFault: () => false,
    virtiofsd: () => false,
  });
  const plan = await boot.plan(
    {
      name: "default",
      origin: "embedded",
      architecture: "x86_64",
      kernel: files.kernel,
      initrd: files.initrd,
      cmdline: DEFAULT_GUEST_CMDLINE,
      init: DEFAULT_GUEST_INIT,
      modules: files.modules,
      injectAgent: true,
      mountPseudoFs: true,
    },
    { transport: "serial", disks: false, accel: "tcg" },
  );
  return {
    kernel: plan.kernel,
    initrd: plan.initrd,
    cmdline: `${DEFAULT_GUEST_CMDLINE} ${plan.cmdline} console=hvc0 console=ttyS0`,
  };
};

export const measureQemu = async (directory: string, rounds: number): Promise<void> => {
  if (Bun.which("qemu-img") === null) {
    console.log("beside QEMU's own ways: not measured, there is no qemu-img (apt-get install qemu-utils)");
    return;
  }
  const reactor = new Reactor();
  const vmm = new QemuVmm({ reactor, env: process.env, helper: join(BUILD, "agent/provium-helper") });
  const image = join(directory, "state.qcow2");
  Bun.spawnSync(["qemu-img", "create", "-q", "-f", "qcow2", image, "64M"]);
  const spec: LaunchSpec = {
    ...(await kernelOf(directory)),
    name: "bench",
    architecture: "x86_64",
    memoryBytes: 512 * MEBIBYTE,
    cpus: 1,
    disks: [],
    qemuArgs: ["-drive", `if=none,id=state,format=qcow2,file=${image}`],
    accel: "tcg",
    transport: "serial",
    directory: join(directory, "vm"),
  };
  const launch = (over: Partial<LaunchSpec>, ...args: string[]): Op<Machine> =>
    vmm.launch({ ...spec, ...over, qemuArgs: [...spec.qemuArgs, ...args] }, after(WAIT_MS));

  const original = reactor.run(launch({}));
  const guest = reactor.run(openGuest(reactor.run(original.connect(after(WAIT_MS))), after(WAIT_MS)));
  reactor.run(guest.park(after(WAIT_MS)));
  reactor.run(original.pause());

  const timed = <T>(op: Op<T>): { readonly ms: number; readonly value: T } => {
    const started = monotonic();
    const value = reactor.run(op);
    return { ms: monotonic() - started, value };
  };
  const files = createSnapshotFiles(directory);
  const saved = join(directory, "ours");
  files.create(saved);
  const stream = join(directory, "stream");
  const savedOurs = timed(original.save(saved));
  const savedInside = timed(hmp(original, "savevm bench"));
  const inside: number[] = [];
  for (let round = 0; round < rounds; round++) inside.push(timed(hmp(original, "loadvm bench")).ms);
  // Last: a machine that has been migrated away has given up its images.
  const savedStream = timed(saveStream(original, stream));
  guest.close();
  original.expectExit();
  original.close();
  const ours = { directory: saved, image: savedOurs.value };

  const ways: Record<string, () => Op<Machine | undefined>> = {
    "provium        ": function* () {
      const machine = yield* launch({ saved: ours });
      yield* machine.resume();
      return machine;
    },
    "full stream    ": function* () {
      const machine = yield* launch({}, "-incoming", "defer");
      const fd = openSync(stream, "r");
      try {
        yield* monitor(machine).giveFd("stream", fd, after(WAIT_MS));
      } finally {
        closeSync(fd);
      }
      yield* monitor(machine).execute("migrate-incoming", { uri: "fd:stream" }, after(WAIT_MS));
      // It was stopped when it was saved, and so it comes back.
      yield* status(machine, "query-status", "paused");
      yield* machine.resume();
      return machine;
    },
    "-loadvm        ": function* () {
      const machine = yield* launch({}, "-loadvm", "bench");
      yield* status(machine, "query-status", "running");
      return machine;
    },
  };
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, way] of Object.entries(ways)) {
      const { ms, value } = timed(way());
      times[name]?.push(ms);
      value?.expectExit();
      value?.close();
    }
  const size = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
  const line = (name: string, values: readonly number[]): void =>
    console.log(`  ${name} ${median(values).toFixed(0).padStart(5)} ms median of ${values.length}`);
  console.log("saved, stopped machine of 512 MiB:");
  console.log(`  provium         ${savedOurs.ms.toFixed(0).padStart(5)} ms, ${size(files.size(saved))}`);
  console.log(
    `  full stream     ${savedStream.ms.toFixed(0).padStart(5)} ms, ${size(statSync(stream).blocks * 512)}`,
  );
  console.log(
    `  savevm          ${savedInside.ms.toFixed(0).padStart(5)} ms, ${size(statSync(image).blocks * 512)}`,
  );
  console.log("from the start of QEMU until the machine runs again:");
  for (const [name, values] of Object.entries(times)) line(name, values);
  line("loadvm, in the running process", inside);
};

function* saveStream(machine: Machine, path: string): Op<void> {
  const fd = openSync(path, "w");
  const qmp = monitor(machine);
  try {
    yield* qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 40 }, after(WAIT_MS));
    yield* qmp.giveFd("saving", fd, after(WAIT_MS));
  } finally {
    closeSync(fd);
  }
  yield* qmp.execute("migrate", { uri: "fd:saving" }, after(WAIT_MS));
  yield* status(machine, "query-migrate", "completed");
}
