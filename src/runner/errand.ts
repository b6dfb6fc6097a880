/** An errand from its start to its last closed machine: what `session.ts` is for test files. */

import type { VmHandle } from "../api/handles.ts";
import { renderError } from "../errors/render.ts";
import type { LuaFunction } from "../lua/function.ts";
import { Chunk, type SessionHost } from "./chunk.ts";
import { DeadlineError } from "./deadlines.ts";
import { failureOf } from "./failure.ts";
import { Prompt } from "./prompt.ts";
import type { Job } from "./protocol.ts";
import { runCommand } from "./remote-command.ts";
import type { FileOutcome } from "./session.ts";
import type { Errand, Talk } from "./talk.ts";

/** Where the talk gets an interruption from: it has to reach a call that is under way. */
export interface Interruptible extends Talk {
  onInterrupt: (() => void) | undefined;
}

const START = "return function(vm, profile) return provium:vm(vm, profile):boot() end";
const RESTORE = "return function(fixture) return provium:vm_fixture(fixture) end";

const machine = (chunk: Chunk, errand: Errand): VmHandle => {
  const fixture = errand.kind === "prompt" ? errand.fixture : undefined;
  const name = errand.kind === "prompt" ? errand.vm : "exec";
  const make = chunk.state.load(fixture === undefined ? START : RESTORE, "provium").call()[0] as LuaFunction;
  return make.call(...(fixture === undefined ? [name, errand.profile] : [fixture]))[0] as VmHandle;
};

/** What kept an errand from being done. The line of our own Lua that made the machine is of no interest. */
const told = (chunk: Chunk, failure: unknown): string =>
  failureOf(chunk.state, failure).reason.replace(/^provium:\d+: /, "");

const perform = (chunk: Chunk, errand: Errand, talk: Talk): void => {
  const handle = machine(chunk, errand);
  if (errand.kind === "command") {
    const status = chunk.state.tasks.run(runCommand(handle.vm, errand.argv, talk));
    talk.tell({ tell: "status", status });
    return;
  }
  chunk.state.setGlobal("vm", handle);
  talk.tell({ tell: "ready", vm: handle.vm.name });
  new Prompt(chunk, talk).run();
};

/** Never throws: a bug of ours is an outcome too. The process is not used again. */
export const runErrand = (job: Job, errand: Errand, host: SessionHost, talk: Interruptible): FileOutcome => {
  let error: string | undefined;
  try {
    const chunk = new Chunk(job, host);
    talk.onInterrupt = () => {
      chunk.deadlines.cancelled = "interrupted";
    };
    try {
      chunk.open();
      perform(chunk, errand, talk);
    } catch (failure) {
      if (!(failure instanceof DeadlineError)) error = told(chunk, failure);
    } finally {
      talk.onInterrupt = undefined;
      chunk.end();
    }
  } catch (bug) {
    error = renderError(bug);
  } finally {
    host.reactor.setInterrupt(undefined);
  }
  return { status: error === undefined ? "passed" : "failed", clean: false, error };
};
