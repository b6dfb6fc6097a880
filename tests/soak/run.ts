/**
 * `make soak N=1000`: N boots, 5 N restores, 100 N calls, and N/5 machines one after another on one bridge, each in a run of
 * its own. Meanwhile the size of every process of ours is taken: resident memory and descriptors, and the bytes that the
 * run's directory holds. What lasts must not grow. VMM=local does what needs no machine.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { quantile } from "../bench/statistics.ts";
import { descendants } from "../chaos/matrix/kernel.ts";

const N = Number(process.argv[2] ?? 100);
const only = new RegExp(process.env.ONLY ?? "");
const local = process.env.VMM === "local";
const SAMPLE_MS = 250;
/** Growth between the second and the last quarter of a run that counts as flat: warm-up is over by then. */
const FLAT = 1.2;
const FLAT_BYTES = 24 * 2 ** 20;
const FLAT_DESCRIPTORS = 4;

const HEAD = `local g = provium:vm("g", "default", { memory = "128M" })\n`;
const SOAKS: Readonly<Record<string, { readonly machine: boolean; readonly text: string }>> = {
  [`${N} boots`]: {
    machine: false,
    text: `${HEAD}test("boots", { timeout = "24h" }, function(t) for i = 1, ${N} do g:boot() g:shutdown() end end)`,
  },
  [`${100 * N} calls`]: {
    machine: false,
    text: `${HEAD}g:boot() test("calls", { timeout = "24h" }, function(t) for i = 1, ${100 * N} do assert(g:syscall(39).errno == 0) end end)`,
  },
  [`${5 * N} restores`]: {
    machine: true,
    text: `${HEAD}g:boot() local s = g:snapshot() g:shutdown()
test("restores", { timeout = "24h" }, function(t) for i = 1, ${5 * N} do g:restore(s) g:shutdown() end end)`,
  },
  [`${Math.ceil(N / 5)} machines on one bridge`]: {
    machine: true,
    text: `local lan = provium:bridge("lan")
test("machines", { timeout = "24h" }, function(t)
  for i = 1, ${Math.ceil(N / 5)} do
    local g = provium:vm("g" .. i, "default", { memory = "128M" })
    lan:attach(g) g:boot() g:run("ping -c 1 -W 5 " .. lan:ip()):assert_ok() g:shutdown() lan:detach(g)
  end
end)`,
  },
};

interface Sample {
  readonly rss: number;
  readonly descriptors: number;
}

const sizeOf = (pid: number): Sample | undefined => {
  try {
    const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0);
    return { rss: rss * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
};

const diskOf = (directory: string): number => {
  let bytes = 0;
  try {
    for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" }))
      bytes += statSync(join(directory, name), { throwIfNoEntry: false })?.blocks ?? 0;
  } catch {
    // Something went away while it was looked at.
  }
  return bytes * 512;
};

const median = (values: readonly number[]): number => (values.length === 0 ? 0 : quantile(values, 0.5));
const quarter = (values: readonly number[], n: number): readonly number[] =>
  values.slice(Math.floor((values.length * n) / 4), Math.floor((values.length * (n + 1)) / 4));

const BARS = "▁▂▃▄▅▆▇█";
/** Sixty columns of a series, from zero to its largest value. */
const plot = (values: readonly number[]): string => {
  const most = Math.max(1, ...values);
  return Array.from({ length: Math.min(60, values.length) }, (_, i) => {
    const value = values[Math.floor((i * values.length) / Math.min(60, values.length))] as number;
    return BARS[Math.min(7, Math.floor((value / most) * 8))];
  }).join("");
};

let grown = 0;
const judge = (
  what: string,
  values: readonly number[],
  slack: number,
  show: (value: number) => string,
): void => {
  const [before, after] = [median(quarter(values, 1)), median(quarter(values, 3))];
  const flat = values.length < 8 || after <= Math.max(before * FLAT, before + slack);
  if (!flat) grown++;
  console.log(
    `  ${flat ? "flat " : "GROWS"} ${what.padEnd(24)} ${show(before).padStart(9)} → ${show(after).padStart(9)}  ${plot(values)}`,
  );
};
const mebibytes = (value: number): string => `${(value / 2 ** 20).toFixed(1)} MiB`;

for (const [name, { machine, text }] of Object.entries(SOAKS)) {
  if ((machine && local) || !only.test(name)) continue;
  const directory = mkdtempSync(join(tmpdir(), "provium-soak-"));
  const temp = join(directory, "tmp");
  mkdirSync(temp);
  writeFileSync(join(directory, "a.test.lua"), text);
  const series = new Map<string, Sample[]>();
  const disk: number[] = [];
  const child = Bun.spawn(
    [resolve("dist/provium"), "--timeout", "0", "--vmm", local ? "local" : "qemu", "-q"],
    {
      cwd: directory,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, PROVIUM_TMPDIR: temp, NO_COLOR: "1" },
    },
  );
  const started = performance.now();
  const take = (what: string, pid: number): void => {
    const size = sizeOf(pid);
    if (size !== undefined) series.set(what, [...(series.get(what) ?? []), size]);
  };
  const watch = setInterval(() => {
    take("dispatcher", child.pid);
    for (const one of descendants(child.pid)) {
      const program = one.command[0]?.split("/").at(-1) ?? "";
      const what =
        program === "provium"
          ? "runner"
          : program === "provium-helper"
            ? `helper ${one.command[1]}`
            : one.name;
      take(what, one.pid);
    }
    disk.push(diskOf(temp));
  }, SAMPLE_MS);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  clearInterval(watch);
  const seconds = (performance.now() - started) / 1000;
  console.log(`${name}: ${child.exitCode === 0 ? "passed" : "FAILED"} in ${seconds.toFixed(0)} s`);
  if (child.exitCode !== 0) {
    grown++;
    console.log(out + err);
  }
  for (const [what, sizes] of series) {
    judge(
      `${what}: memory`,
      sizes.map(({ rss }) => rss),
      FLAT_BYTES,
      mebibytes,
    );
    judge(
      `${what}: descriptors`,
      sizes.map(({ descriptors }) => descriptors),
      FLAT_DESCRIPTORS,
      (n) => n.toFixed(0),
    );
  }
  judge("disk of the run", disk, FLAT_BYTES, mebibytes);
  rmSync(directory, { recursive: true, force: true });
}
process.exit(grown === 0 ? 0 : 1);
