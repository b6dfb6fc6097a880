/** Bounds of what one event says: texts may be a guest's, as long as it likes, and more than this helps nobody. */

const LONGEST_REASON = 64 * 1024;
const LONGEST_NAME = 1000;

/** Why a test failed or was skipped. */
export const boundedReason = (text: string): string =>
  text.length <= LONGEST_REASON ? text : `${text.slice(0, LONGEST_REASON)}\n... (${text.length} characters)`;

/** What a test or a part of one is called. */
export const boundedName = (text: string): string =>
  text.length <= LONGEST_NAME ? text : `${text.slice(0, LONGEST_NAME)}... (${text.length} characters)`;
