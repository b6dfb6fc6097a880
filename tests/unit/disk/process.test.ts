import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskProcess } from "../../../src/disk/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-disk-process-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A helper of a few lines: closes its socket, and ends a little later, as a large process does on a busy host. */
const helper = join(directory, "helper");
writeFileSync(
  helper,
  `#!/bin/sh
if [ "$1" = exec ]; then while [ "$1" != -- ]; do shift; done; shift; exec "$@"; fi
exec 3>&-
sleep 0.2
echo "the image is gone" >&2
exit 3
`,
);
chmodSync(helper, 0o755);

test("a process that ends is told of with how it ended and what it said, though its socket closes before", () => {
  const reactor = new Reactor();
  const disk = DiskProcess.start({ reactor, env: process.env, helper }, "disk `d`", () => {});
  expect(() => reactor.run(disk.ask("FLUSH"))).toThrow(
    "disk `d`: its process ended with exit status 3; it said: the image is gone",
  );
  disk.close();
});
