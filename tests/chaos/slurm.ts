/** A real Slurm of one node, for as long as a test lasts: munged, slurmctld and slurmd below a directory of its own. */

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { eventually } from "./run.ts";

const DAEMONS = ["munged", "slurmctld", "slurmd", "sbatch", "sinfo"];
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** Why no Slurm can be started here; undefined when it can. */
export const slurmMissing = (): string | undefined => {
  const missing = DAEMONS.filter((name) => Bun.which(name, { PATH }) === null);
  if (missing.length > 0) return `${missing.join(", ")} not installed (apt install slurm-wlm)`;
  return process.getuid?.() === 0 ? undefined : "its daemons are started as root only";
};

/** A port that was free a moment ago. */
const freePort = (): number => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
};

const configuration = (directory: string, node: string): string => `ClusterName=provium
SlurmctldHost=${node}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${directory}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=2
SlurmctldPort=${freePort()}
SlurmdPort=${freePort()}
SlurmctldPidFile=${directory}/slurmctld.pid
SlurmdPidFile=${directory}/slurmd.pid
SlurmdSpoolDir=${directory}/spool
StateSaveLocation=${directory}/state
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=${node} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;

export class Slurm {
  private readonly daemons: Bun.Subprocess[] = [];
  readonly environment: Readonly<Record<string, string>>;

  private constructor(private readonly directory: string) {
    this.environment = {
      ...(process.env as Record<string, string>),
      PATH,
      SLURM_CONF: join(directory, "slurm.conf"),
    };
  }

  /** Returns when the node waits for jobs. */
  static async start(directory: string): Promise<Slurm> {
    for (const name of ["munge", "spool", "state"]) mkdirSync(join(directory, name), { recursive: true });
    chmodSync(directory, 0o755);
    const key = join(directory, "munge/key");
    writeFileSync(key, crypto.getRandomValues(new Uint8Array(1024)), { mode: 0o600 });
    writeFileSync(
      join(directory, "slurm.conf"),
      configuration(directory, hostname().split(".")[0] as string),
    );
    const slurm = new Slurm(directory);
    const munge = (name: string): string => join(directory, "munge", name);
    slurm.daemon([
      "munged",
      "--foreground",
      "--force",
      `--key-file=${key}`,
      `--socket=${munge("socket")}`,
      `--pid-file=${munge("pid")}`,
      `--log-file=${munge("log")}`,
      `--seed-file=${munge("seed")}`,
    ]);
    await eventually(
      "munged listens",
      () => slurm.succeeds(["munge", "-n", `--socket=${munge("socket")}`]),
      60_000,
    );
    slurm.daemon(["slurmctld", "-D", "-c"]);
    slurm.daemon(["slurmd", "-D", "-c"]);
    await eventually(
      "the node is idle",
      () => slurm.output(["sinfo", "-h", "-o", "%T"]).trim() === "idle",
      120_000,
    );
    return slurm;
  }

  /** What a command of Slurm prints. */
  output(command: readonly string[]): string {
    return Bun.spawnSync([...command], { env: this.environment, stderr: "ignore" }).stdout.toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.daemons.reverse()) {
      daemon.kill("SIGTERM");
      await daemon.exited;
    }
  }

  private succeeds(command: readonly string[]): boolean {
    return (
      Bun.spawnSync([...command], { env: this.environment, stdout: "ignore", stderr: "ignore" }).exitCode ===
      0
    );
  }

  private daemon(command: readonly string[]): void {
    this.daemons.push(
      Bun.spawn([...command], {
        env: this.environment,
        cwd: this.directory,
        stdin: "ignore",
        stdout: "ignore",
        stderr: Bun.file(join(this.directory, `${command[0]}.log`)),
      }),
    );
  }
}
