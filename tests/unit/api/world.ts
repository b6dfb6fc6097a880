/** A Lua state with the whole API on stand-in machines; `lua` runs a chunk in it. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installApi, type Surface } from "../../../src/api/install.ts";
import type { Actor } from "../../../src/lab/ports.ts";
import { LuaState } from "../../../src/lua/state.ts";
import type { LuaValue } from "../../../src/lua/values.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { type FakeGuest, type Fakes, fakes, profile } from "../lab/fakes.ts";

export interface World extends Fakes {
  readonly state: LuaState;
  readonly reactor: Reactor;
  readonly surface: Surface;
  readonly directory: string;
  /** Runs Lua code as the test file; its results, strings as text. */
  lua(code: string): unknown[];
  close(): void;
}

const decoder = new TextDecoder();
const plain = (value: LuaValue): unknown => (value instanceof Uint8Array ? decoder.decode(value) : value);

/** `actor` answers the guest operations that a test needs. */
export const world = (actor: Partial<Actor> = {}, dialect: "classic" | "lab" = "lab"): World => {
  const directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
  const own = fakes();
  const reactor = new Reactor();
  const state = new LuaState({ reactor, memoryLimitMb: 0, roots: [] });
  const { openGuest } = own.host;
  const surface = installApi({
    job: {
      file: join(directory, "a.test.lua"),
      path: "a.test.lua",
      dialect,
      project: join(directory, "project"),
      profiles: { default: profile("default"), minimal: profile("minimal") },
      accel: "kvm",
      transport: "serial",
      directory,
    },
    vmm: own.host.vmm,
    openGuest: function* (channel, deadline) {
      const guest = yield* openGuest(channel, deadline);
      Object.assign((guest as FakeGuest).main, actor);
      return guest;
    },
    openDisk: own.host.openDisk,
    resumeGuest: own.host.resumeGuest,
    rehearse: own.host.rehearse,
    snapshots: own.host.snapshots,
    services: own.host.services,
    network: own.network,
    emit: own.host.emit,
    reactor,
    state,
  });
  return {
    ...own,
    state,
    reactor,
    surface,
    directory,
    lua: (code) => state.load(code, "a.test.lua", join(directory, "a.test.lua")).call().map(plain),
    close: () => {
      state.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
