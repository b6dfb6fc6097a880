/** Who a child process is to be, where that is not whom this process is. */

import { HostError } from "../errors/errors.ts";

export interface Identity {
  readonly name: string;
  readonly uid: number;
  /** The user's own group first, then the others that it is in. */
  readonly groups: readonly number[];
}

/** As `provium-helper exec --as` takes it. */
export const identityText = ({ uid, groups }: Identity): string => `${uid}:${groups.join(",")}`;

/** Asks id(1), which knows users of every source that this host has. */
const asked = (flag: string, name: string): number[] | undefined => {
  const { exitCode, stdout } = Bun.spawnSync(["id", flag, "--", name], { stdin: "ignore", stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim().split(" ").map(Number) : undefined;
};

/**
 * The user `name` (or user number) of `run_as`. Throws HostError when this process may not start anything as somebody
 * else, there is no such user, or it is root, from whom nothing would be kept.
 */
export const identityOf = (name: string, self = process.geteuid?.()): Identity => {
  const what = `run_as: QEMU cannot be started as \`${name}\``;
  if (self !== 0)
    throw new HostError(`${what}: only root can start a program as another user, and this is user ${self}`, {
      hint: "leave run_as (--run-as) out: QEMU then runs as you",
    });
  const uid = asked("-u", name)?.[0];
  const group = asked("-g", name)?.[0];
  const groups = asked("-G", name);
  if (uid === undefined || group === undefined || groups === undefined)
    throw new HostError(`${what}: this host has no such user`, {
      hint: "name one that `id` knows, such as `nobody`, or make one with `useradd --system`",
    });
  if (uid === 0)
    throw new HostError(`${what}: that is root, whom it already runs as`, {
      hint: "leave run_as (--run-as) out, or name a user without rights",
    });
  return { name, uid, groups: [group, ...groups.filter((one) => one !== group)] };
};
