/**
 * Faults on what runs inside a machine, which no driver on the host can reach: a shell of the guest brings them about once
 * the phase has begun, and the test looks afterwards whether it did.
 */

import { STOP_MS } from "./faults.ts";
import type { Fault, Victim } from "./table.ts";

/** What the shell writes when the fault has come. */
const PROOF = "/tmp/fault";
/** Five a second on a guest in no hurry; emulated guests on a busy host are slow. */
const PROOF_TURNS = 300;
/** What the test says when it did not. */
export const NEVER_CAME = "the guest has not brought about its fault";

/** Agent, task and worker are one program: what tells them apart is the name of the leading thread. */
const onProcess = (victim: Victim, act: string): string =>
  `p=$(grep -lx provium-${victim} /proc/[0-9]*/comm | cut -d / -f 3) && [ "$p" ] && ${act}`;
const clockBy = (sign: "+" | "-"): string => `date -s @$(($(date +%s) ${sign} 86400)) && echo >${PROOF}`;

const script = (victim: Victim, fault: Fault): string => {
  switch (fault) {
    case "kill":
      return onProcess(victim, `kill -9 $p && echo >${PROOF}`);
    case "stop":
      return onProcess(victim, `kill -STOP $p && echo >${PROOF} && sleep ${STOP_MS / 1000} && kill -CONT $p`);
    case "clock ahead":
      return clockBy("+");
    case "clock back":
      return clockBy("-");
    default:
      throw new Error(`a guest cannot bring about: ${fault}`);
  }
};

/** Lua for the test: what begins the fault, and what claims that it came. */
export const guestFault = (
  victim: Victim,
  fault: Fault,
): { readonly begin: string; readonly came: string } => ({
  begin: `g:run_async([[sleep 0.5; ${script(victim, fault)}]])`,
  came: `for turn = 1, ${PROOF_TURNS} do if g:run("sleep 0.2; cat ${PROOF}"):ok() then return end end error("${NEVER_CAME}")`,
});
