/** Timers for deadlines that people give: as long as they like. */

/** A timer that is to wait longer than 2^31 - 1 milliseconds (24 days) runs out at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls `action` after `ms`; what no timer can wait for is no deadline. */
export const startDeadline = (ms: number, action: () => void): ReturnType<typeof setTimeout> | undefined =>
  ms > LONGEST_MS ? undefined : setTimeout(action, ms);
