import { describe, expect, test } from "bun:test";
import { attended, type Traffic } from "../../../src/lab/liveness.ts";
import type { Guest } from "../../../src/lab/ports.ts";
import { after, type Op, Pending, until } from "../../../src/sys/op.ts";
import { at, run } from "./fakes.ts";

const NOTHING = (): Traffic => ({ queued: 0, received: 0 });
const PATIENCE = { askAfterMs: 5, silenceMs: 20 };

/** A guest that only echoes: at once, or never. */
const echoing = (answers: boolean): { readonly guest: Guest; asked: number } => {
  const told = {
    asked: 0,
    guest: {
      echo: (data: Uint8Array): Op<Uint8Array> => {
        told.asked++;
        return answers ? at(() => data) : new Pending<Uint8Array>().wait(Number.POSITIVE_INFINITY, Error);
      },
    } as unknown as Guest,
  };
  return told;
};

/** A call that fails once the session is told that the agent is silent. */
const hanging = (session: Pending<never>): Op<never> =>
  session.wait(after(5_000), () => new Error("too late"));

/** Waits for a call that never ends, while the guest is asked whether it is there. */
const attend = (
  session: Pending<never>,
  guest: ReturnType<typeof echoing>["guest"],
  traffic: () => Traffic,
) =>
  run(
    attended(
      hanging(session),
      guest,
      () => true,
      (why) => session.fail(why),
      traffic,
      PATIENCE,
    ),
  );

describe("liveness", () => {
  test("a call on an agent that answers nothing ends with the silence as its reason", () => {
    const session = new Pending<never>();
    const { guest } = echoing(false);
    expect(() => attend(session, guest, NOTHING)).toThrow(/has not answered for 0.02 s/);
  });

  test("an agent that has still to take what stands before the question is not silent, until it takes no more", () => {
    const session = new Pending<never>();
    const { guest } = echoing(false);
    let left = 1000;
    let looks = 0;
    const taking = (): Traffic => {
      looks++;
      left = Math.max(700, left - 100);
      return { queued: left, received: 0 };
    };
    expect(() => attend(session, guest, taking)).toThrow(/has not answered for 0.02 s/);
    // 900 with the question, 800 and 700 are progress, the second 700 is none.
    expect(looks).toBe(4);
  });

  test("an agent whose large answer is still arriving is not silent, until no more of it comes", () => {
    const session = new Pending<never>();
    const { guest } = echoing(false);
    let received = 5000;
    let looks = 0;
    const sending = (): Traffic => {
      looks++;
      received = Math.min(5003, received + 1);
      return { queued: 100, received };
    };
    expect(() => attend(session, guest, sending)).toThrow(/has not answered for 0.02 s/);
    // 5001 with the question, 5002 and 5003 are progress, the second 5003 is none.
    expect(looks).toBe(4);
  });

  test("what is sent to an agent that takes nothing is no sign of its life", () => {
    const session = new Pending<never>();
    const { guest } = echoing(false);
    let queued = 0;
    let looks = 0;
    const piling = (): Traffic => {
      looks++;
      queued += 100;
      return { queued, received: 0 };
    };
    expect(() => attend(session, guest, piling)).toThrow(/has not answered for 0.02 s/);
    expect(looks).toBe(2);
  });

  test("a long call on an agent that answers is left alone, and the agent is asked again and again", () => {
    const told = echoing(true);
    let silent = false;
    const op = attended(
      until(() => told.asked > 1, after(20_000)),
      told.guest,
      () => true,
      () => {
        silent = true;
      },
      NOTHING,
      PATIENCE,
    );
    expect(run(op)).toBe(true);
    expect(silent).toBe(false);
  });

  test("a paused machine is not asked", () => {
    const told = echoing(false);
    run(
      attended(
        until(() => false, after(60)),
        told.guest,
        () => false,
        () => {},
        NOTHING,
        PATIENCE,
      ),
    );
    expect(told.asked).toBe(0);
  });

  test("a call that ends at once asks nothing", () => {
    const told = echoing(false);
    expect(
      run(
        attended(
          at(() => 7),
          told.guest,
          () => true,
          () => {},
          NOTHING,
          PATIENCE,
        ),
      ),
    ).toBe(7);
    expect(told.asked).toBe(0);
  });
});
