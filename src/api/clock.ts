/** The guest's CLOCK_REALTIME: `vm:clock()`. */

import { ApiError, GuestError } from "../errors/errors.ts";
import type { Actor, Integer } from "../lab/ports.ts";
import { defineClass, method } from "../lua/native.ts";
import { luaFloat } from "../lua/values.ts";
import { type Op, sleep } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import type { GuestHandle } from "./handles.ts";

export class Clock {
  constructor(readonly vm: GuestHandle) {}
}

const clockMethod = method<Clock>;

const now = (self: Clock, call: string): Op<Integer> => self.vm.call(call, (actor) => actor.clockGet());

/** Nanoseconds of seconds, exact to the nanosecond as far as a float is. */
const nanoseconds = (seconds: number): bigint => {
  const whole = Math.trunc(seconds);
  return BigInt(whole) * 1_000_000_000n + BigInt(Math.round((seconds - whole) * 1e9));
};

/** Seconds that fit the kernel's 64-bit nanoseconds. */
const LARGEST_SECONDS = 9_223_372_036;

/** What the kernel says of a time at which the guest would have started before its epoch. */
const EINVAL = 22;

/** Sets or moves the clock. The kernel's refusal is explained: it is no fault of the value's form. */
function* change(self: Clock, call: string, op: (actor: Actor) => Op<unknown>): Op<void> {
  try {
    yield* self.vm.call(call, op);
  } catch (error) {
    if (!(error instanceof GuestError) || error.errno !== EINVAL) throw error;
    throw new GuestError(error.message, error.errno, {
      where: error.where,
      hint: "Linux keeps no time before 1970, nor one at which the guest would have booted before 1970.",
    });
  }
}

const finite = (value: number, call: string): number => {
  if (!Number.isFinite(value)) throw new ApiError(`${call}: value must be a finite number (got NaN/inf)`);
  if (Math.abs(value) > LARGEST_SECONDS)
    throw new ApiError(`${call}: value must be within ±${LARGEST_SECONDS} seconds, got ${value}`);
  return value;
};

defineClass<Clock>({
  name: "Clock",
  of: Clock,
  doc: "The guest's wall clock, shared by all of its processes. It may go backwards.",
  methods: {
    get: clockMethod(
      "(): number",
      "Seconds since the epoch as a float, exact to about 250 ns.",
      function* (self) {
        return luaFloat(Number(yield* now(self, "clock:get")) / 1e9);
      },
    ),
    get_ns: clockMethod("(): integer", "Nanoseconds since the epoch.", function* (self) {
      return yield* now(self, "clock:get_ns");
    }),
    set: clockMethod(
      "(seconds: number)",
      "Sets the clock to seconds since the epoch.",
      function* (self, args) {
        const ns = nanoseconds(finite(args.number(1, "seconds"), "clock:set"));
        yield* change(self, "clock:set", (actor) => actor.clockSet(ns));
      },
    ),
    set_ns: clockMethod(
      "(ns: integer)",
      "Sets the clock to nanoseconds since the epoch.",
      function* (self, args) {
        const ns = args.integer(1, "ns");
        yield* change(self, "clock:set_ns", (actor) => actor.clockSet(ns));
      },
    ),
    advance: clockMethod(
      "(duration: duration)",
      'Moves the clock by a duration and returns at once; a negative one ("-1h") moves it back.',
      function* (self, args) {
        const ms = durationMs(args.any(1), "clock:advance: duration", { negative: true });
        const ns = nanoseconds(finite(ms / 1000, "clock:advance"));
        yield* change(self, "clock:advance", (actor) => actor.clockAdvance(ns));
      },
    ),
    sleep: clockMethod(
      "(duration: duration)",
      "Lets the time pass on the host; the guest runs on.",
      function* (_self, args) {
        yield* sleep(durationMs(args.any(1), "clock:sleep: duration"));
      },
    ),
  },
  equals: (a, b) => a.vm.vm === b.vm.vm,
  text: (self) => `Clock of vm \`${self.vm.vm.name}\``,
});
