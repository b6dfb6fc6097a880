/** Between the schedule and those who ask it: remembers who waits for which answer. */

import type { Action, Schedule, Step } from "./schedule.ts";

/** How a wish is decided. */
export type Decision = Extract<Action, { readonly id: number }>;

/** Puts a wish to the schedule under a fresh number; `settle` is called once it is granted or refused. */
export type Wish = (step: (id: number) => Step, settle?: (decision: Decision) => void) => void;

export class Desk {
  private readonly asked = new Map<number, (decision: Decision) => void>();
  private wishes = 0;

  /** `act` does whatever else the schedule says is to be done. */
  constructor(
    readonly schedule: Schedule,
    private readonly act: (action: Exclude<Action, Decision>) => void,
  ) {}

  /** Tells the schedule what happened and does what it answers. */
  readonly take = (step: Step): void => {
    for (const action of this.schedule.step(step)) {
      if (action.act === "grant" || action.act === "refuse") {
        this.asked.get(action.id)?.(action);
        this.asked.delete(action.id);
      } else this.act(action);
    }
  };

  readonly wish: Wish = (step, settle) => {
    const id = ++this.wishes;
    if (settle !== undefined) this.asked.set(id, settle);
    this.take(step(id));
  };
}
