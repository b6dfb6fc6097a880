/** The states of a VM and which calls each of them allows. */

import { ApiError } from "../errors/errors.ts";

export type VmState = "created" | "booted" | "paused" | "shutdown" | "dead";

/** From where a call may be made. Calls that act inside the guest need `booted`. */
const ALLOWED = {
  boot: ["created", "shutdown", "dead"],
  pause: ["booted"],
  resume: ["paused"],
  reset: ["booted"],
  power_button: ["booted"],
  plug: ["booted"],
  set_link: ["booted", "paused"],
  snapshot: ["booted"],
  restore: ["created", "shutdown", "dead"],
  // Going back from where it stands: a machine that runs is ended first.
  "lab:restore": ["created", "booted", "paused", "shutdown", "dead"],
} as const satisfies Record<string, readonly VmState[]>;

export type Transition = keyof typeof ALLOWED;

export const isTransition = (call: string): call is Transition => Object.hasOwn(ALLOWED, call);

/** The states from which `call` is allowed; anything that is no transition is a call into the guest. */
export const allowedStates = (call: string): readonly VmState[] =>
  isTransition(call) ? ALLOWED[call] : ["booted"];

const list = (states: readonly string[]): string =>
  states.length === 1 ? (states[0] as string) : `${states.slice(0, -1).join(", ")} or ${states.at(-1)}`;

/** The error of a call in the wrong state: "vm `a` is shutdown; run needs booted". */
export const wrongState = (vm: string, state: string, call: string, reason?: string): ApiError =>
  new ApiError(
    `vm \`${vm}\` is ${state}; ${call} needs ${list(allowedStates(call))}${reason === undefined ? "" : `\n${reason}`}`,
  );
