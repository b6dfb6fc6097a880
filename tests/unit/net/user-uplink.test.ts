import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSubnet } from "../../../src/lab/subnet.ts";
import type { BackendBridge } from "../../../src/net/backend.ts";
import { openUserUplink } from "../../../src/net/user-uplink.ts";
import { socketPair } from "../../../src/sys/libc.ts";
import { sleep } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { HELPER } from "./nics.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-uplink-"));
afterAll(() => rmSync(directory, { recursive: true }));
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

/** Opens a way out through a shell script that plays QEMU; descriptor 4 is the monitor. */
const opened = (script: string) => {
  const program = join(directory, "qemu");
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  const reactor = new Reactor();
  let closed = 0;
  const port = {
    id: 3,
    wire: { kind: "stream", fd: socketPair()[0] },
    *close() {
      yield* sleep(0);
      closed++;
    },
  };
  const bridge = {
    *openPort() {
      yield* sleep(0);
      return port;
    },
  } as unknown as BackendBridge;
  const host = { reactor, env: { PATH: "/usr/bin:/bin" }, helper: HELPER, qemu: () => program };
  const open = () => reactor.run(openUserUplink(bridge, parseSubnet("10.1.2.0/24"), host));
  return { reactor, open, closings: () => closed };
};

test("a QEMU whose monitor greets is a way out, however long that takes", () => {
  const { reactor, open } = opened("sleep 0.5; echo '{\"QMP\": {}}' >&4; exec sleep 60");
  const started = performance.now();
  const uplink = open();
  expect(performance.now() - started).toBeGreaterThan(490);
  expect([uplink.way, uplink.port]).toEqual(["user", 3]);
  reactor.run(uplink.close());
});

test("a QEMU that takes its time to refuse is refused with its words, and nothing stays open", () => {
  const { open, closings } = opened("sleep 0.5; echo 'network backend user is not compiled' >&2; exit 1");
  const before = openDescriptors();
  expect(open).toThrow("QEMU's user networking did not start: network backend user is not compiled");
  expect(closings()).toBe(1);
  // The end of the wire that was the port's is closed with it.
  expect(openDescriptors()).toBe(before - 1);
});
