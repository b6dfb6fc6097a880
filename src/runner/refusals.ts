/** Functions of Lua's library that a test must not have: they would end or block the runner. */

import { ApiError } from "../errors/errors.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";

/** Replaces them by errors that say what to do instead. */
export const refuseUnfit = (state: LuaState): void => {
  state.table("os").set(
    "exit",
    fn("exit", "()", "Not for tests.", () => {
      throw new ApiError("os.exit would end the runner, not the test", {
        hint: "return from the test, raise with error(), or skip the rest with t:skip()",
      });
    }),
  );
  state.table("io").set(
    "popen",
    fn("popen", "()", "Not for tests.", () => {
      throw new ApiError("io.popen is not available: a test waits for nothing behind the harness's back", {
        hint: 'use vm:run("…") for a command in the guest, os.execute for one on the host',
      });
    }),
  );
  state.table("debug").set(
    "debug",
    fn("debug", "()", "Not for tests.", () => {
      throw new ApiError("debug.debug has nobody to talk to: a test has no terminal");
    }),
  );
};
