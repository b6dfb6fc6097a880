/** What QEMU's monitor says, cut anywhere: the same events and answers, or an end that says why. */

import { HostError, ProtocolError } from "../../../src/errors/errors.ts";
import { closeFd, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, all, type Op } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { Qmp } from "../../../src/vmm/qmp.ts";
import { must, type Target } from "../target.ts";

/** Longer than anything here takes: who waits so long waits for ever. */
const NEVER_MS = 3_600_000;

/** Everything that came of it: events, the version, the answer to the first command or why there is none. */
const heard = (input: Uint8Array, cut: number): string => {
  const reactor = new Reactor();
  const [ours, theirs] = socketPair();
  setNonBlocking(theirs);
  const qmp = new Qmp(ours, reactor);
  const said: unknown[] = [];
  qmp.onEvent((event) => said.push(event));
  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  const speak = function* (): Op<null> {
    for (let at = 0; at < input.byteLength; at += cut) {
      if (writeSome(theirs, input.subarray(at, at + cut)) <= 0) break;
      qmp.drain();
    }
    closeFd(theirs);
    return null;
  };
  try {
    // Its id is 1.
    said.push(
      ...reactor.run(all<unknown>([qmp.execute("query-status", undefined, after(NEVER_MS)), speak()])),
    );
  } catch (error) {
    if (!(error instanceof HostError || error instanceof ProtocolError)) throw error;
    said.push(error.message);
  } finally {
    qmp.close();
  }
  return JSON.stringify([qmp.version, ...said]);
};

export const qmp: Target = {
  name: "qmp",
  source: import.meta.file,
  seeds: [
    `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}\r\n{"return": {}, "id": 1}\n`,
    `{"event": "STOP", "timestamp": {"seconds": 1}}\n{"event": "GUEST_PANICKED", "data": {"action": "pause"}}\n{"error": {"class": "GenericError", "desc": "no"}, "id": 1}\n`,
    `\r\n\n{"return": [1, null], "id": 2}\n{"id": 1}\n`,
  ],
  words: [
    ...['{"event": "', '"data"', '"QMP"', '"version"', '"qemu"', '"return"', '"error"', '"id": 1', '"class"'],
    ...["null", "[]", "{}", "\n", "\r", "1e999", '"__proto__"', "[".repeat(200)],
  ],
  run: (input) => {
    const whole = heard(input, Math.max(1, input.byteLength));
    must(heard(input, 1 + ((input[0] ?? 0) % 50)) === whole, "the same however it is cut");
  },
};
