/** Guests whose agent is missing or is somebody else: the boot ends at its deadline and says what was there instead. */

import { expect, test } from "bun:test";
import { Project } from "./run.ts";

/** A guest of ours without an agent: `script` is its first program and finds the agent's port in $port. */
const project = (script: string, timeout: number): Project =>
  new Project({
    "provium.toml": `[profiles.impostor]
kernel = "embedded"
inject_agent = false
cmdline = "quiet panic=-1 rdinit=/impostor"
`,
    impostor: `#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
modprobe virtio_pci; modprobe virtio_console
for each in /sys/class/virtio-ports/*; do
  [ "$(cat $each/name)" = org.provium.agent ] && port=/dev/\${each##*/}
done
echo "impostor on $port" > /dev/console
${script}
sleep 600
`,
    "a.test.lua": `
local g = provium:vm("g", "impostor", { files = { { path = "/impostor", host = "impostor", mode = 493 } }, boot_timeout = ${timeout} })
test("boots", function() g:boot() end)
test("the next machine is fine", function(t) t:assert(provium:vm("fine", "default"):boot():run("true"):ok()) end)
`,
  });

const CASES: readonly {
  readonly title: string;
  readonly script: string;
  readonly says: readonly RegExp[];
  /** of the boot, s: what has to happen before it needs more on a busy machine */
  readonly timeout?: number;
}[] = [
  {
    title: "a guest that never answers ends at the boot deadline, with the tail of its console",
    script: "echo nobody home > /dev/console",
    says: [/vm `g`/, /nobody home/, /within|deadline|in time/],
    timeout: 5,
  },
  {
    title: "garbage on the agent's port is not taken for an agent",
    script: "cat /dev/urandom > $port",
    says: [/vm `g`/],
  },
  {
    title: "an announced frame of four gigabytes is not waited for",
    script: "while true; do printf '\\377\\377\\377\\377' > $port; done",
    says: [/vm `g`/],
  },
  {
    title: "a first program that ends is a panic, and the error says so",
    script: "exit 1",
    says: [/vm `g`/, /panic/],
    timeout: 60,
  },
];

for (const { title, script, says, timeout = 2 } of CASES) {
  test(title, async () => {
    using there = project(script, timeout);
    const result = await there.run(["-v"]);
    expect(result.text).toMatch(/FAIL boots/);
    for (const text of says) expect(result.text).toMatch(text);
    expect(result.text).toMatch(/PASS the next machine is fine/);
    expect(result.text).not.toMatch(/bug in provium/);
    expect(there.processes()).toEqual([]);
    expect(there.runDirectories()).toEqual([]);
  });
}
