/**
 * `test` and `todo`: registration, order and outcome of the tests of one file.
 *
 * In the lab dialect tests are registered while the file's top level runs, and their bodies run afterwards. In the
 * classic dialect a body runs at its `test` call; the file itself is a test when it has no other.
 */

import { basename } from "node:path";
import type { Surface } from "../api/install.ts";
import { ApiError, InterruptedError } from "../errors/errors.ts";
import { isExpected } from "../errors/render.ts";
import type { Emit, Meta } from "../events/types.ts";
import { duration } from "../lab/quantities.ts";
import { LuaError } from "../lua/errors.ts";
import type { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaTable } from "../lua/table.ts";
import { LuaFloat } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import { boundedName, boundedReason } from "./bounds.ts";
import { type ContextHost, TestContext } from "./context.ts";
import { DeadlineError, type Deadlines } from "./deadlines.ts";
import { type Failure, failureAt, failureOf } from "./failure.ts";
import type { SubResult } from "./ktap.ts";
import { metaOf } from "./meta.ts";
import type { Job } from "./protocol.ts";
import { RunningTest, SkipSignal } from "./running.ts";
import { skipReason } from "./select.ts";
import { isWholeTest } from "./whole-file.ts";

export interface FrameworkHost {
  readonly job: Job;
  readonly state: LuaState;
  readonly surface: Surface;
  readonly deadlines: Deadlines;
  readonly emit: Emit;
  /** Closes what a test has left, within bounds. */
  closeTest(): void;
  /** Runs an operation to its end. */
  wait(op: Op<void>): void;
  /** Lets `math.random` go on from where it always is at this place of the file. */
  drawAnew(place: string): void;
}

interface Registered {
  readonly name: string;
  readonly meta: Meta;
  readonly metaTable: LuaTable | undefined;
  readonly body: LuaFunction;
  /** Deadline in milliseconds, if it has one of its own; or what is wrong with it. */
  readonly limit: number | Failure | undefined;
}

export class Framework implements ContextHost {
  /** Tests that were reported as failed. */
  failures = 0;
  /** Tests that were reported at all. */
  reported = 0;
  /** Failures that were bugs of ours: the process should not be used again. */
  bugs = 0;
  /** An order to end the file reached us while a body ran. */
  ended: DeadlineError | undefined;
  private readonly registered: Registered[] = [];
  /** A test body has run since the file's VMs were last put back. */
  private used = false;
  private readonly names = new Map<string, number>();
  private readonly partNames = new Map<string, number>();
  private running: RunningTest | undefined;
  private loading = true;
  /** The argument of a top-level `todo`. */
  private todo: string | undefined;

  constructor(private readonly host: FrameworkHost) {
    host.surface.onTimeoutSet((ms) => {
      if (this.running !== undefined) host.deadlines.rearmTest(ms, this.running.since);
    });
  }

  get state(): LuaState {
    return this.host.state;
  }

  /** Defines the globals `test` and `todo`. */
  install(): void {
    const { state } = this.host;
    state.setGlobal(
      "test",
      fn("test", "(name: string, meta?: table, fn: fun(t))", "Declares a test.", (args) => {
        const name = boundedName(args.text(1, "name"));
        const metaTable = args.type(2) === "table" ? args.table(2, "meta") : undefined;
        const body = args.func(metaTable === undefined ? 2 : 3, "fn");
        if (metaTable === undefined && args.type(3) === "table")
          args.fail(3, "meta: the table comes before the function, test(name, meta, fn)");
        const test = { name, meta: metaOf(metaTable), metaTable, body, limit: this.limitOf(name, metaTable) };
        if (this.host.job.dialect === "classic") this.runNow(test);
        else this.register(test);
      }),
    );
    state.setGlobal(
      "todo",
      fn("todo", "(reason?: string)", "Skips the running test, or the whole file at top level.", (args) => {
        const reason = args.absent(1) ? "todo" : state.textOf(args.any(1));
        if (this.running !== undefined) this.running.skip(reason);
        this.todo ??= reason;
        if (this.host.job.dialect === "classic") throw new SkipSignal(`file skipped: ${reason}`);
      }),
    );
  }

  /** The test's own deadline. A wrong one fails the test where it is declared, not the whole file. */
  private limitOf(name: string, meta: LuaTable | undefined): Registered["limit"] {
    const { state } = this.host;
    const value = meta?.get("timeout");
    if (value === undefined) return undefined;
    try {
      return duration(value instanceof LuaFloat ? value.value : value, `test \`${name}\`: meta.timeout`);
    } catch (error) {
      if (!isExpected(error)) throw error;
      return failureAt(state, error.message, state.frames(), error);
    }
  }

  // --- lab -------------------------------------------------------------------------------------------------

  private register(test: Registered): void {
    if (!this.loading)
      throw new ApiError(`test: \`${test.name}\` is declared while tests run`, {
        hint: "declare tests at the top level of the file, or use t:subtest(name, fn) in a body",
      });
    if (this.names.has(test.name)) throw new ApiError(`test: duplicate name \`${test.name}\` in this file`);
    this.names.set(test.name, 1);
    this.registered.push(test);
  }

  /** Runs the registered bodies in order. */
  runRegistered(): void {
    this.loading = false;
    this.registered.forEach((test, i) => {
      this.ended ??= this.host.deadlines.ended;
      if (this.ended === undefined) this.runOne(test, i + 1 < this.registered.length);
      else this.skipOne(test, notRun(this.ended));
    });
  }

  /** Reports every registered test as skipped. */
  skipRegistered(reason: string): void {
    this.loading = false;
    for (const test of this.registered) this.skipOne(test, reason);
  }

  private skipOne({ name, meta }: Pick<Registered, "name" | "meta">, reason: string): void {
    this.host.emit("test_started", { path: this.host.job.path, name, meta });
    this.finish(new RunningTest(name, meta, undefined), undefined, reason);
  }

  // --- classic ---------------------------------------------------------------------------------------------

  private runNow(test: Registered): void {
    const name = unique(this.names, test.name);
    this.runOne({ ...test, name });
    // Whether it was among those chosen is not felt by what follows.
    this.host.drawAnew(`after ${name}`);
    if (this.ended !== undefined) throw this.ended;
  }

  /** The name of the file as a test of its own. */
  get fileTest(): string {
    return basename(this.host.job.file).replace(/(\.test)?\.lua$/, "");
  }

  /** Runs the top level of a classic file and reports it as a test where it has to be one. */
  runClassicFile(chunk: LuaFunction): void {
    const { job } = this.host;
    const filtered = skipReason(this.fileTest, {}, job.filter);
    if (filtered !== undefined && isWholeTest(job)) {
      this.skipOne({ name: this.fileTest, meta: {} }, filtered);
      return;
    }
    const itself = new RunningTest(this.fileTest, {}, undefined);
    let failure: Failure | undefined;
    try {
      chunk.call();
      failure = this.lostTask();
    } catch (error) {
      // An order to end the file that hit a test inside has been told there.
      const told = this.ended !== undefined;
      this.note(error);
      if (this.todo === undefined && !told) failure = failureOf(this.host.state, error);
    }
    if (failure === undefined && this.reported > 0) return;
    const name = unique(this.names, itself.name);
    this.host.emit("test_started", { path: job.path, name, meta: {} });
    this.finish(itself, failure, failure === undefined ? (this.todo ?? filtered) : undefined, name);
  }

  // --- one test --------------------------------------------------------------------------------------------

  /** `followed`: another one comes behind it, and the file's VMs may have to be put back for that. */
  private runOne(test: Registered, followed = false): void {
    const { job, state, surface, deadlines, emit } = this.host;
    const reason = this.todo ?? skipReason(test.name, test.meta, job.filter);
    const lost = reason === undefined ? this.putBack() : undefined;
    emit("test_started", { path: job.path, name: test.name, meta: test.meta });
    const running = new RunningTest(test.name, test.meta, test.metaTable);
    if (reason !== undefined) {
      this.finish(running, undefined, reason);
      return;
    }
    const limit = typeof test.limit === "object" ? undefined : test.limit;
    const hopeless = typeof test.limit === "object" ? test.limit : lost;
    if (hopeless !== undefined) {
      this.finish(running, hopeless, undefined);
      return;
    }
    const outer = { running: this.running, clock: deadlines.clock };
    let failure: Failure | undefined;
    let entered = false;
    try {
      this.host.drawAnew(`test ${test.name}`);
      surface.enterTest(test.name);
      entered = true;
      this.running = running;
      deadlines.armTest(limit ?? surface.settings.timeoutMs);
      this.used = true;
      if (followed) surface.reset.prepare();
      test.body.call(new TestContext(this, running));
      failure = this.lostTask();
    } catch (error) {
      // What it has left running must not go on in the next test; the failure that is there speaks for all.
      const { calls } = state.tasks.close();
      if (error instanceof InterruptedError) error.beside(calls);
      this.note(error);
      if (!running.wasSkippedBy(error)) failure = failureOf(state, error);
    } finally {
      deadlines.clock = outer.clock;
      this.running = outer.running;
    }
    this.finish(running, running.sticky ?? failure, running.skipped);
    if (entered) this.host.closeTest();
  }

  /** The file's VMs as the first test found them, where the file wants that; why not, if it cannot be. */
  private putBack(): Failure | undefined {
    if (!this.used) return undefined;
    this.used = false;
    try {
      this.host.wait(this.host.surface.reset.restore());
      return undefined;
    } catch (error) {
      this.note(error);
      return failureOf(this.host.state, error);
    }
  }

  /** Reports the outcome; a failure outweighs a skip. */
  private finish(
    test: RunningTest,
    failure: Failure | undefined,
    skipped: string | undefined,
    name: string = test.name,
  ): void {
    const { job, emit, surface } = this.host;
    const common = { path: job.path, name, meta: test.meta, log: test.log };
    this.reported++;
    if (failure !== undefined) {
      this.failures++;
      const told = { duration_ns: test.durationNs, ...failure, console_excerpt: surface.consoleExcerpt() };
      emit("test_failed", { ...common, ...told });
    } else if (skipped !== undefined) emit("test_skipped", { ...common, reason: boundedReason(skipped) });
    else emit("test_passed", { ...common, duration_ns: test.durationNs });
  }

  private note(error: unknown): void {
    if (!(error instanceof LuaError) && !isExpected(error)) this.bugs++;
    if (error instanceof DeadlineError && error.by !== "test") this.ended ??= error;
  }

  /** Ends the tasks that a body has left running; the failure of one that nobody waited for is the test's. */
  private lostTask(): Failure | undefined {
    const [error] = this.host.state.tasks.close().failures;
    return error === undefined ? undefined : failureOf(this.host.state, error);
  }

  // --- parts of a test -------------------------------------------------------------------------------------

  *subtest(parent: RunningTest, called: string, body: LuaFunction): Op<boolean> {
    const part = boundedName(called);
    const name = unique(this.partNames, `${parent.name}/${part}`);
    const { job, state, emit } = this.host;
    const running = new RunningTest(name, {}, undefined);
    emit("test_started", { path: job.path, name, meta: {}, parent: parent.name });
    const outer = this.running;
    this.running = running;
    let failure: Failure | undefined;
    try {
      yield* body.invoke(new TestContext(this, running));
    } catch (error) {
      if (error instanceof DeadlineError) {
        this.finish(running, failureOf(state, error), undefined);
        throw error;
      }
      if (!running.wasSkippedBy(error)) failure = failureOf(state, error);
    } finally {
      this.running = outer;
    }
    const settled = running.sticky ?? failure;
    this.finish(running, settled, running.skipped);
    if (settled !== undefined)
      parent.sticky ??= { ...settled, reason: `subtest \`${part}\` failed: ${settled.reason}` };
    return settled === undefined;
  }

  attach(test: RunningTest, name: string, data: Uint8Array, mediaType: string): void {
    this.host.emit("attachment", {
      path: this.host.job.path,
      test: test.name,
      name,
      media_type: mediaType,
      data,
    });
  }

  report(parent: RunningTest, result: SubResult): void {
    const called = boundedName(result.name);
    const name = unique(this.partNames, `${parent.name}/${called}`);
    const part = new RunningTest(name, {}, undefined);
    this.host.emit("test_started", { path: this.host.job.path, name, meta: {}, parent: parent.name });
    const failure =
      result.outcome === "failed" ? { reason: boundedReason(result.reason), detail: {} } : undefined;
    this.finish(part, failure, result.outcome === "skipped" ? result.reason : undefined);
    if (failure !== undefined)
      parent.sticky ??= { ...failure, reason: `\`${called}\` failed: ${failure.reason}` };
  }
}

/** The reason for tests that an ended file did not get to. */
const notRun = (end: DeadlineError): string =>
  end.by === "file" ? `file timed out: ${end.message}` : end.message;

/** The name itself, or with "#2", "#3", … when it was there before. */
const unique = (names: Map<string, number>, name: string): string => {
  let n = (names.get(name) ?? 0) + 1;
  // Another test may be called just that.
  while (n > 1 && names.has(`${name} #${n}`)) n++;
  names.set(name, n);
  const own = n === 1 ? name : `${name} #${n}`;
  if (n > 1) names.set(own, 1);
  return own;
};
