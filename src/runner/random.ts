/**
 * `math.random` of a test file. It starts where the run's seed and the file's path say, and anew with each test, so
 * that a test that is run alone draws what it drew among the others. A file that calls `math.randomseed` goes its own
 * way from there.
 */

import type { LuaFunction } from "../lua/function.ts";
import type { LuaState } from "../lua/state.ts";

const WATCHED = `
local native, own = math.randomseed, false
math.randomseed = function(...)
  own = true
  return native(...)
end
return function(start)
  if not own then native(start) end
end
`;

export class FileRandom {
  private readonly start: LuaFunction;

  constructor(
    state: LuaState,
    private readonly origin: string,
  ) {
    [this.start] = state.load(WATCHED, "provium random").call() as [LuaFunction];
    this.restart("");
  }

  /** What is drawn from here on is what is always drawn at this place of the file. */
  restart(place: string): void {
    this.start.call(BigInt.asIntN(64, Bun.hash(`${this.origin}:${place}`) as bigint));
  }
}
