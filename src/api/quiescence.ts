/** What of a test is open or runs in a VM right now. */

import type { Vm } from "../lab/vm.ts";
import { callsUnderWay, type VmMethods, vmMethod } from "./handles.ts";
import { heldOf } from "./held.ts";
import { hasRunningJobs } from "./jobs.ts";
import { Process } from "./process.ts";
import { Stream } from "./stream.ts";

/** Streams of a VM that are open and have not ended. */
export const liveStreams = (vm: Vm): readonly Stream[] =>
  heldOf(vm, "stream").filter((held): held is Stream => held instanceof Stream && !held.ended);

/** Whether a command or a system call of the test goes on in the guest. */
const works = (vm: Vm): boolean =>
  hasRunningJobs(vm) || heldOf(vm, "process").some((held) => !(held instanceof Process) || held.running);

export const COUNT_METHODS: VmMethods = {
  is_quiescent: vmMethod(
    "(): boolean",
    "True when nothing of the test goes on in the guest: no call under way in another task, no process or background job running, no open file or stream.",
    ({ vm }) =>
      callsUnderWay(vm) === 0 &&
      !works(vm) &&
      heldOf(vm, "file").length === 0 &&
      liveStreams(vm).length === 0,
  ),
  open_file_count: vmMethod(
    "(): integer",
    "How many Files are open, those of workers included.",
    ({ vm }) => heldOf(vm, "file").length,
  ),
  open_stream_count: vmMethod(
    "(): integer",
    "How many streams are open and have not ended, consoles and those of workers included.",
    ({ vm }) => liveStreams(vm).length,
  ),
  agent_state: vmMethod(
    "(): {processes, tasks, io_fds, task_fds, queued_bytes, rss_bytes: integer}",
    "What the agent in the guest holds right now: children, tasks, descriptors, bytes. For checks that nothing is left behind.",
    function* ({ vm }) {
      const state = yield* vm.call("agent_state", (guest) => guest.state());
      return {
        processes: state.processes,
        tasks: state.tasks,
        io_fds: state.ioFds,
        task_fds: state.taskFds,
        queued_bytes: state.queuedBytes,
        rss_bytes: state.rssBytes,
      };
    },
  ),
};
