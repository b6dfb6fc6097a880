/** The guarantees of the stream about order and pairs (docs/events.md), checked on a recording. */

import type { ProviumEvent } from "../../src/events/types.ts";

type Of<K extends ProviumEvent["kind"]> = Extract<ProviumEvent, { kind: K }>;

class FileState {
  attempts = 0;
  running = false;
  completed = false;
  readonly tests = new Map<string, "started" | "ended">();
  readonly machines = new Set<string>();
  claims = 0;
}

class Checker {
  readonly problems: string[] = [];
  private readonly files = new Map<string, FileState>();
  /** How often each fixture is being built: shards that were merged may have built it at the same time. */
  private readonly builds = new Map<string, number>();
  private index = 0;
  private dispatched = false;
  private over = false;

  take(event: ProviumEvent): void {
    this.index++;
    if (this.over) this.say(`${event.kind} after run_completed`);
    if ((this.index === 1) !== (event.kind === "stream_started"))
      this.say(`${event.kind} as number ${this.index}`);
    switch (event.kind) {
      case "file_discovered":
        if (this.dispatched) this.say(`${event.payload.path} was discovered after a dispatch`);
        if (this.files.has(event.payload.path)) this.say(`${event.payload.path} was discovered twice`);
        this.files.set(event.payload.path, new FileState());
        return;
      case "file_blocked":
      case "file_dispatched":
      case "file_retried":
      case "file_completed":
        this.file(event);
        return;
      case "test_started":
      case "test_passed":
      case "test_failed":
      case "test_skipped":
        this.test(event);
        return;
      case "vm_spawned":
      case "vm_shutdown":
        this.machine(event);
        return;
      case "claim_acquired":
      case "claim_released":
        this.claim(event);
        return;
      case "fixture_build_started":
        this.builds.set(event.payload.path, (this.builds.get(event.payload.path) ?? 0) + 1);
        return;
      case "fixture_build_done":
      case "fixture_build_failed": {
        const running = this.builds.get(event.payload.path) ?? 0;
        if (running === 0)
          this.say(`the build of fixture ${event.payload.path} ended without having started`);
        else if (running === 1) this.builds.delete(event.payload.path);
        else this.builds.set(event.payload.path, running - 1);
        return;
      }
      case "run_completed":
        this.over = true;
        for (const [path, state] of this.files) if (!state.completed) this.say(`${path} was never completed`);
        for (const path of this.builds.keys()) this.say(`the build of fixture ${path} never ended`);
        return;
      default:
    }
  }

  finish(): void {
    if (!this.over) this.say("the stream ends without run_completed");
  }

  private say(problem: string): void {
    this.problems.push(`event ${this.index}: ${problem}`);
  }

  private state(path: string): FileState {
    const found = this.files.get(path);
    if (found !== undefined) return found;
    this.say(`${path} was never discovered`);
    const state = new FileState();
    this.files.set(path, state);
    return state;
  }

  private file(event: Of<"file_blocked" | "file_dispatched" | "file_retried" | "file_completed">): void {
    const { path } = event.payload;
    const state = this.state(path);
    if (state.completed) this.say(`${event.kind} of ${path} after its file_completed`);
    if (event.kind === "file_blocked") {
      if (state.running) this.say(`${path} is blocked while it runs`);
      return;
    }
    if (event.kind === "file_dispatched") {
      this.dispatched = true;
      state.attempts++;
      if (state.running) this.say(`${path} was dispatched twice`);
      if ((event.payload.attempt ?? 1) !== state.attempts)
        this.say(`${path}: attempt ${event.payload.attempt ?? 1} is number ${state.attempts}`);
      state.running = true;
      return;
    }
    const notRun = event.kind === "file_completed" && event.payload.status === "not_run";
    if (!state.running && !(notRun && state.attempts === 0))
      this.say(`${event.kind} of ${path}, which does not run`);
    for (const [name, was] of state.tests)
      if (was === "started") this.say(`${path}: test ${name} never ended`);
    for (const name of state.machines) this.say(`${path}: vm ${name} was never shut down`);
    if (state.claims > 0) this.say(`${path}: a claim was never released`);
    state.tests.clear();
    state.machines.clear();
    state.claims = 0;
    state.running = false;
    state.completed = event.kind === "file_completed";
  }

  private test(event: Of<"test_started" | "test_passed" | "test_failed" | "test_skipped">): void {
    const { path, name } = event.payload;
    const state = this.state(path);
    if (!state.running) this.say(`${event.kind} ${name} of ${path}, which does not run`);
    const was = state.tests.get(name);
    if (event.kind === "test_started") {
      if (was !== undefined) this.say(`${path}: test ${name} started twice`);
      state.tests.set(name, "started");
    } else {
      if (was !== "started")
        this.say(`${path}: test ${name} ended ${was === undefined ? "unstarted" : "twice"}`);
      state.tests.set(name, "ended");
    }
  }

  private machine(event: Of<"vm_spawned" | "vm_shutdown">): void {
    const { file, vm_name } = event.payload;
    const { machines } = this.state(file);
    if (event.kind === "vm_shutdown") {
      if (!machines.delete(vm_name)) this.say(`${file}: vm ${vm_name} was shut down and did not run`);
    } else {
      if (machines.has(vm_name)) this.say(`${file}: vm ${vm_name} was spawned twice`);
      machines.add(vm_name);
    }
  }

  private claim(event: Of<"claim_acquired" | "claim_released">): void {
    const state = this.state(event.payload.path);
    state.claims += event.kind === "claim_acquired" ? 1 : -1;
    if (state.claims < 0) this.say(`${event.payload.path}: a claim was released that was never acquired`);
  }
}

/** What is wrong with the order of a whole stream; empty when nothing is. */
export const orderProblems = (events: readonly ProviumEvent[]): string[] => {
  const checker = new Checker();
  for (const event of events) checker.take(event);
  checker.finish();
  return checker.problems;
};
