/** `t`, the argument of every test body. */

import { ApiError } from "../errors/errors.ts";
import type { Args } from "../lua/args.ts";
import { describe, quote } from "../lua/describe.ts";
import { LuaError } from "../lua/errors.ts";
import type { LuaFunction } from "../lua/function.ts";
import { defineClass, method } from "../lua/native.ts";
import { showPair } from "../lua/show.ts";
import type { LuaState } from "../lua/state.ts";
import { type LuaValue, truthy } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import { compared } from "./assertion-error.ts";
import { ktapResults, type SubResult } from "./ktap.ts";
import { mediaTypeOf } from "./media-type.ts";
import type { RunningTest } from "./running.ts";

/** What a context needs from the framework. */
export interface ContextHost {
  readonly state: LuaState;
  /** Runs a part of a test under a name of its own. True: it passed or was skipped. */
  subtest(parent: RunningTest, name: string, body: LuaFunction): Op<boolean>;
  /** Keeps data with the test's result. */
  attach(test: RunningTest, name: string, data: Uint8Array, mediaType: string): void;
  /** Reports a result that something else has produced. */
  report(parent: RunningTest, result: SubResult): void;
}

export class TestContext {
  constructor(
    readonly host: ContextHost,
    readonly test: RunningTest,
  ) {}
}

const messageOr = (args: Args, i: number, standard: string): string =>
  args.absent(i) ? standard : (args.heap as LuaState).textOf(args.any(i));

const pairOf = (self: TestContext, args: Args): [string, string] =>
  showPair(args.any(1), args.any(2), (value) => self.host.state.textOf(value));

const searched = (value: LuaValue, what: string): Uint8Array => {
  if (value instanceof Uint8Array) return value;
  throw new ApiError(`t:assert_contains: ${what} must be a string, got ${describe(value)} (slice 2 limit)`, {
    hint: "only strings are searched; look into tables with a loop of your own",
  });
};

/** Whether `needle` occurs in `haystack`, byte by byte. */
export const containsBytes = (haystack: Uint8Array, needle: Uint8Array): boolean =>
  Buffer.from(haystack.buffer, haystack.byteOffset, haystack.byteLength).includes(needle);

defineClass<TestContext>({
  name: "test context",
  of: TestContext,
  doc: "The test that runs: assertions that stick, skipping, logging.",
  fields: {
    name: { type: "string", doc: "The test's name." },
    meta: { type: "table", doc: "The metadata table given to `test`, or an empty one." },
  },
  methods: {
    assert: method(
      "(cond: any, msg?: string)",
      "Fails the test when `cond` is nil or false, even if the error is caught.",
      (self, args) => {
        if (!truthy(args.any(1))) self.test.fail(self.host.state, messageOr(args, 2, "assertion failed"));
      },
    ),
    assert_eq: method("(a: any, b: any, msg?: string)", "Fails unless `a == b`.", (self, args) => {
      if (self.host.state.equal(args.any(1), args.any(2))) return;
      const [a, b] = pairOf(self, args);
      const text = (value: LuaValue): string => self.host.state.textOf(value);
      self.test.fail(
        self.host.state,
        `${messageOr(args, 3, "assertion failed")}: ${a} ~= ${b}`,
        compared(["first", "second"], [args.any(1), args.any(2)], text),
      );
    }),
    assert_neq: method("(a: any, b: any, msg?: string)", "Fails when `a == b`.", (self, args) => {
      if (!self.host.state.equal(args.any(1), args.any(2))) return;
      const [a, b] = pairOf(self, args);
      self.test.fail(self.host.state, `${messageOr(args, 3, "assertion failed")}: ${a} == ${b}`);
    }),
    assert_contains: method(
      "(haystack: string, needle: string, msg?: string)",
      "Fails unless `needle` occurs in `haystack` as it is (no pattern).",
      (self, args) => {
        const haystack = searched(args.any(1), "the haystack");
        const needle = searched(args.any(2), "the needle");
        if (containsBytes(haystack, needle)) return;
        const text = `${quote(haystack, 400)} does not contain ${quote(needle, 400)}`;
        self.test.fail(self.host.state, `${messageOr(args, 3, "assertion failed")}: ${text}`);
      },
    ),
    assert_raises: method(
      "(fn: function, msg?: string): any",
      "Calls `fn` and returns the error it raises; fails when it raises none.",
      function* (self, args) {
        const body = args.func(1, "fn");
        const message = messageOr(args, 2, "assertion failed");
        const { sticky } = self.test;
        try {
          yield* body.invoke();
        } catch (error) {
          if (!(error instanceof LuaError)) throw error;
          self.test.sticky = sticky;
          return error.value;
        }
        return self.test.fail(self.host.state, `${message}: expected to raise`);
      },
    ),
    fail: method("(msg?: string)", "Fails the test.", (self, args) => {
      self.test.fail(self.host.state, messageOr(args, 1, "explicit failure (t:fail)"));
    }),
    skip: method("(reason?: string)", "Ends the test as skipped.", (self, args) => {
      self.test.skip(messageOr(args, 1, "skipped"));
    }),
    log: method("(value: any)", "Adds `tostring(value)` to the test's log.", (self, args) => {
      self.test.say(self.host.state.textOf(args.any(1)));
    }),
    attach: method(
      "(name: string, data: string, opts?: {media_type?})",
      "Keeps `data` (at most 16 MiB, 64 MiB a test) with the test's result, for the HTML report and readers of events. The media type is guessed from the name's ending.",
      (self, args) => {
        const name = args.text(1, "name");
        const data = args.bytes(2, "data");
        const opts = args.optTable(3, "attach: opts");
        opts?.only(["media_type"]);
        const mediaType = opts?.optText("media_type") ?? mediaTypeOf(name, data);
        self.test.keep(name, data.byteLength);
        self.host.attach(self.test, name, data, mediaType);
      },
    ),
    subtest: method(
      "(name: string, fn: fun(t)): boolean",
      "Runs a part of the test with a result of its own. A failed part fails the test; the rest of it still runs.",
      (self, args) => self.host.subtest(self.test, args.text(1, "name"), args.func(2, "fn")),
    ),
    ktap: method(
      "(text: string): table",
      "Reports every result line of a KTAP or TAP text, at most 100,000, as a part of the test. Returns the counts.",
      (self, args) => {
        const counts = { passed: 0, failed: 0, skipped: 0 };
        for (const result of ktapResults(args.text(1, "text"))) {
          counts[result.outcome]++;
          self.host.report(self.test, result);
        }
        return counts;
      },
    ),
  },
  get: ({ test, host }, key) => {
    if (key === "name") return test.name;
    return key === "meta" ? (test.metaTable ?? host.state.newTable()) : undefined;
  },
  text: ({ test }) => `test ${test.name}`,
});
