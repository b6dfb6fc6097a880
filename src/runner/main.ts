/** The runner role: takes test files from the dispatcher one after another until the dispatcher is gone. */

import { join } from "node:path";
import { installApi } from "../api/install.ts";
import { ServedDisk } from "../disk/disk.ts";
import { rehearse, resumeGuest } from "../guest/parked.ts";
import { openGuest } from "../guest/session.ts";
import type { OpenDisk, Vmm } from "../lab/ports.ts";
import { Reactor } from "../sys/reactor.ts";
import { createLocalVmm } from "../vmm/local.ts";
import { QemuVmm } from "../vmm/qemu.ts";
import { createSnapshotFiles } from "../vmm/snapshot-files.ts";
import type { SessionHost } from "./chunk.ts";
import { runErrand } from "./errand.ts";
import { buildFixture } from "./fixture.ts";
import { Link } from "./link.ts";
import { networkOf } from "./network.ts";
import type { Job } from "./protocol.ts";
import { hideRole } from "./role.ts";
import { DispatcherServices } from "./services.ts";
import { runFile } from "./session.ts";

/** A process that has grown beyond this is not worth keeping. */
const LARGEST_REUSED_BYTES = 768 * 2 ** 20;

/** The dispatcher's socket. */
const LINK_FD = 3;

const vmmOf = (job: Job, reactor: Reactor): Vmm => {
  const host = { reactor, env: process.env, helper: job.assets.helper };
  return job.vmm === "qemu"
    ? new QemuVmm({ ...host, user: job.runAs })
    : createLocalVmm({ ...host, agent: job.assets.agent });
};

/** Disks of a job: each one a process, which says in the report when the host's storage fails it. */
const disksOf =
  (job: Job, link: Link, reactor: Reactor): OpenDisk =>
  (spec, directory, what) => {
    const warn = (text: string): void =>
      link.emit("notice", { level: "warning", text: `${job.path}: ${text}` });
    return ServedDisk.open(
      { reactor, env: process.env, helper: job.assets.helper, warn },
      spec,
      directory,
      what,
    );
  };

const runJob = (job: Job, link: Link, reactor: Reactor): void => {
  const services = new DispatcherServices(link);
  const { emit } = link;
  const host: SessionHost = {
    reactor,
    emit,
    stopped: () => link.stopped,
    install: (state, recorder) =>
      installApi({
        job,
        vmm: vmmOf(job, reactor),
        openGuest,
        network: networkOf(job, reactor),
        openDisk: disksOf(job, link, reactor),
        resumeGuest,
        rehearse,
        snapshots: createSnapshotFiles(job.staging ?? join(job.directory, "snapshots")),
        services,
        emit,
        reactor,
        state,
        recorder,
      }),
  };
  if (job.staging !== undefined) {
    link.send({ type: "finished", ...buildFixture(job, job.staging, host) });
    return;
  }
  const outcome = job.errand === undefined ? runFile(job, host) : runErrand(job, job.errand, host, link);
  const lean = process.memoryUsage.rss() < LARGEST_REUSED_BYTES;
  link.send({ type: "finished", ...outcome, clean: outcome.clean && lean });
};

/** Does not return. */
export const runnerMain = (): never => {
  hideRole(process.env);
  // Whatever a file has started dies with this process (its parent-death signal).
  const link = new Link(LINK_FD, () => process.exit(0));
  for (;;) {
    // Descriptors that a file forgot are not watched on behalf of the next one.
    const reactor = new Reactor();
    link.attach(reactor);
    link.send({ type: "idle" });
    runJob(reactor.run(link.nextJob()), link, reactor);
  }
};
