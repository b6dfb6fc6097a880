/**
 * Which runners are listened to: all of them, whoever has started them, unless those who read the events are behind. Then
 * what a runner says waits in its socket, and the runner with it.
 */

import type { EventStream } from "../events/stream.ts";
import type { Runner, StartRunner } from "./runner-process.ts";

export interface Listening {
  /** Starts a runner that is listened to in this way. */
  readonly start: StartRunner;
  /** The run is over. */
  close(): void;
}

export const listening = (startRunner: StartRunner, stream: EventStream): Listening => {
  const runners = new Set<Runner>();
  const close = stream.onCongestion((congested) => {
    for (const runner of runners) runner.listen(!congested);
  });
  const start: StartRunner = (listener) => {
    const runner = startRunner({
      message: (message) => {
        // The first word is heard in any case: it is short, and who does not say it in time is given up.
        if (!runners.has(runner)) {
          runners.add(runner);
          if (stream.congested) runner.listen(false);
        }
        listener.message(message);
      },
      gone: (how, overdue) => {
        runners.delete(runner);
        listener.gone(how, overdue);
      },
    });
    return runner;
  };
  return { start, close };
};
