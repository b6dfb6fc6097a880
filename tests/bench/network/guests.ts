/**
 * What guests see: two machines with a bridge between them and, beside it, a bare wire from QEMU to QEMU. Pings and
 * TCP on both alternate in the same run; then sixteen machines on one bridge. Once for each backend that this host has.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import { median, quantile } from "../statistics.ts";

const EXECUTABLE = resolve("dist/provium");
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const CROWD = 16;

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);

/** Lua: the round trips that a ping has printed. */
const MILLISECONDS = `local function milliseconds(result)
  local all = {}
  for ms in result:assert_ok().stdout:gmatch("time=([%d.]+)") do all[#all + 1] = ms end
  return table.concat(all, " ")
end`;

/** A machine with one end of a wire that no bridge knows of. */
const wired = (name: string, n: number): string => `[profile.${name}]
kernel = "embedded"
memory = "128M"
qemu_args = [
  "-netdev", "stream,id=bare,server=${n === 1 ? "on" : "off"},addr.type=unix,addr.path=${directory}/wire",
  "-device", "virtio-net-pci,netdev=bare,mac=52:54:00:99:00:0${n}",
]
`;

write("provium.toml", `[provium]\nroots = ["."]\n\n${wired("left", 1)}\n${wired("right", 2)}`);
write(
  "pair.test.lua",
  `provium.timeout = "30m"
local a = provium:vm("a", "left"):boot()
local b = provium:vm("b", "right"):boot()
local lan = provium:bridge("lan")
lan:attach({ a, b })
for n, vm in ipairs({ a, b }) do
  vm:run("for d in /sys/class/net/*; do grep -q 52:54:00:99:00:0" .. n .. " $d/address && ip addr add 10.99.0." .. n .. "/24 dev \${d##*/} && ip link set \${d##*/} up; done; true"):assert_ok()
end
local ways = { { "wire", "10.99.0.2" }, { "bridge", lan:ip(b) } }
${MILLISECONDS}
local function times(address)
  return milliseconds(a:run("ping -c 200 -i 0.005 -W 10 " .. address, { timeout = "5m" }))
end
local BYTES = 32000000
local function transfer(address)
  local sink = b:run_async("nc -l -p 5001 | wc -c")
  wait_until(function() return b:run("netstat -ltn | grep -q :5001"):ok() end, { timeout = "30s" })
  local took = a:run("read begun rest </proc/uptime; head -c " .. BYTES .. " /dev/zero | nc " .. address .. " 5001; read ended rest </proc/uptime; echo $begun $ended", { timeout = "10m" })
  sink:wait("1m")
  local begun, ended = took.stdout:match("([%d.]+) ([%d.]+)")
  return BYTES * 8 / (ended - begun)
end
test("pair", function(t)
  for _, way in ipairs(ways) do
    wait_until(function() return a:run("ping -c 1 -W 5 " .. way[2]):ok() end, { timeout = "1m" })
  end
  for round = 1, ${ROUNDS} do
    for _, way in ipairs(ways) do
      t:log(way[1] .. " rtt " .. times(way[2]))
      t:log(way[1] .. " bps " .. transfer(way[2]))
    end
  end
end)
`,
);
write(
  "crowd.test.lua",
  `provium.timeout = "30m"
local origin = provium:vm("origin", "default", { memory = "96M" }):boot()
local image = origin:snapshot()
origin:kill()
local lan = provium:bridge("lan")
local crowd = {}
${MILLISECONDS}
for n = 1, ${CROWD} do crowd[n] = provium:vm("m" .. n, "default", { memory = "96M" }):restore(image) end
for n, vm in ipairs(crowd) do
  test("attach " .. n, function() lan:attach(vm) end)
end
test("ring", function(t)
  local pings = {}
  for n, vm in ipairs(crowd) do
    pings[n] = vm:run_async(("ping -c 20 -i 0.05 -W 20 m%d.lan"):format(n % ${CROWD} + 1))
  end
  for _, ping in ipairs(pings) do t:log("ring rtt " .. milliseconds(ping:wait("5m"))) end
end)
`,
);

interface Figures {
  /** By what they are of, as in "wire rtt": lines of the tests' logs, numbers behind two words. */
  readonly logged: ReadonlyMap<string, number[]>;
  /** Milliseconds of tests by the first word of their title. */
  readonly tests: ReadonlyMap<string, number[]>;
}

const noted = (into: Map<string, number[]>, name: string, values: readonly number[]): void => {
  into.set(name, [...(into.get(name) ?? []), ...values]);
};

/** Runs a file; undefined where this host has no such backend. */
const run = (file: string, backend: string): Figures | undefined => {
  const recording = join(directory, `events-${backend}-${file}`);
  const child = Bun.spawnSync(
    [EXECUTABLE, "--network", backend, "--jobs", "1", "--save-events", recording, file],
    { cwd: directory, stdout: "pipe", stderr: "pipe" },
  );
  const said = `${child.stdout}${child.stderr}`;
  if (child.exitCode !== 0) {
    const lacking = /this host gives no network namespace.*|this kernel has no .*/.exec(said)?.[0];
    if (lacking === undefined) throw new Error(said);
    console.log(`not measured: ${lacking}`);
    return undefined;
  }
  const [logged, tests] = [new Map<string, number[]>(), new Map<string, number[]>()];
  readRecording(recording, (event) => {
    if (event.kind !== "test_passed") return;
    const { name, duration_ns, log } = event.payload;
    noted(tests, name.split(" ")[0] as string, [duration_ns / 1e6]);
    for (const line of log) {
      const [way, what, ...values] = line.trim().split(/\s+/);
      noted(logged, `${way} ${what}`, values.map(Number));
    }
  });
  return { logged, tests };
};

const spread = (values: readonly number[], digits: number): string =>
  `p50 ${median(values).toFixed(digits)}, p90 ${quantile(values, 0.9).toFixed(digits)}`;

try {
  for (const backend of ["user", "kernel"]) {
    console.log(`--network ${backend}`);
    const pair = run("pair.test.lua", backend);
    if (pair === undefined) continue;
    for (const way of ["wire", "bridge"]) {
      const of = (what: string): number[] => pair.logged.get(`${way} ${what}`) ?? [];
      console.log(
        `  ${way.padEnd(7)} round trip ${spread(of("rtt"), 3)} ms, TCP ${(median(of("bps")) / 1e6).toFixed(1)} Mbit/s`,
      );
    }
    const crowd = run("crowd.test.lua", backend);
    console.log(
      `  ${CROWD} machines on one bridge: ${spread(crowd?.tests.get("attach") ?? [], 0)} ms to attach one that runs; all pinging their neighbours: round trip ${spread(crowd?.logged.get("ring rtt") ?? [], 1)} ms`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
