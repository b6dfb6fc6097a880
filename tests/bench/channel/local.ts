/**
 * The channel's figures on the local VMM: the agent and peer.c as processes, each on a socket pair.
 */

import { join } from "node:path";
import { openLocal } from "../../../src/channel/local.ts";
import { SEND_BUFFER_BYTES } from "../../../src/channel/stream.ts";
import { openGuest } from "../../../src/guest/session.ts";
import { closeFd, socketPair } from "../../../src/sys/libc.ts";
import { after } from "../../../src/sys/op.ts";
import { spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { LocalVmm } from "../../../src/vmm/local.ts";
import { compilePeer, compileTrivial } from "./compile.ts";
import { type Figure, measure } from "./measure.ts";

export const measureLocal = (directory: string, calls: number): readonly Figure[] => {
  const reactor = new Reactor();
  const agents = join(import.meta.dir, "../../../build/agent");
  const host = {
    reactor,
    env: process.env,
    agent: join(agents, "provium-agent"),
    helper: join(agents, "provium-helper"),
  };
  const [ours, theirs] = socketPair(SEND_BUFFER_BYTES);
  const child = spawn(
    {
      program: compilePeer(directory),
      args: ["--fd", "3"],
      env: {},
      descriptors: [{ from: theirs, to: 3 }],
      helper: host.helper,
    },
    reactor,
  );
  closeFd(theirs);
  const machine = reactor.run(
    new LocalVmm(host).launch({
      name: "bench",
      architecture: "x86_64",
      memoryBytes: 0,
      cpus: 1,
      cmdline: "",
      disks: [],
      qemuArgs: [],
      accel: "tcg",
      transport: "local",
      directory,
    }),
  );
  const guest = reactor.run(openGuest(reactor.run(machine.connect(after(5000))), after(5000)));
  const figures = measure({
    reactor,
    guest,
    peer: openLocal(reactor, ours),
    trivial: compileTrivial(directory),
    file: join(directory, "file"),
    calls,
    megabytes: 256,
    rounds: 5,
  });
  guest.close();
  machine.close();
  child.close();
  return figures;
};
