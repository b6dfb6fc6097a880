/** What is read from the files of a snapshot is looked at before it is believed: a checksum can be written by anybody. */

export const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isText = (value: unknown): value is string => typeof value === "string";

export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

export const isFlag = (value: unknown): boolean => typeof value === "boolean";

/** A name inside the snapshot's directory, as encodeURIComponent leaves it, never a way out. */
export const isFileName = (value: unknown): boolean =>
  isText(value) && /^[\w!~*'()%-][\w!~*'()%.-]*$/.test(value);

export const isListOf = (value: unknown, holds: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(holds);
