/**
 * Who could have put something into a directory whose content this user acts upon: a snapshot says which program is
 * started with which arguments.
 */

import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";

const EVERYBODY_WRITES = 0o002;

const isOurs = ({ uid }: Stats): boolean => uid === 0 || uid === process.getuid?.();

/**
 * Why `directory` cannot be relied upon; undefined where it can, or is not there yet. It may belong to somebody else,
 * a cache for a team for instance, as long as that somebody could not have put it there himself.
 */
export const foreignHand = (directory: string): string | undefined => {
  const info = statSync(directory, { throwIfNoEntry: false });
  if (info === undefined) return undefined;
  if ((info.mode & EVERYBODY_WRITES) !== 0) return "everybody may write to it";
  if (isOurs(info)) return undefined;
  const above = statSync(dirname(directory));
  return isOurs(above) && (above.mode & EVERYBODY_WRITES) === 0
    ? undefined
    : `it belongs to user ${info.uid}, who may have put it there`;
};
