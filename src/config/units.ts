/**
 * Sizes and durations as people write them. One parser each, for `provium.toml`, flags and the environment.
 * Both return undefined for a value that is none; the `…_FORMS` texts say what would have been one.
 */

export const SIZE_FORMS = 'a number of bytes, or a text such as "512M", "2G", "20GiB"';
export const DURATION_FORMS = 'a number of seconds, or a text such as "500ms", "5s", "2m", "1h"';

const BYTES: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Whole bytes of a size; digits alone are bytes. Undefined: negative, not finite, too large or no size at all. */
export const parseSize = (value: unknown): number | undefined => {
  let bytes: number;
  if (typeof value === "number" || typeof value === "bigint") bytes = Number(value);
  else if (typeof value === "string") {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(value);
    if (match === null) return undefined;
    bytes = Number(match[1]) * (BYTES[(match[2] as string).toUpperCase()] as number);
  } else return undefined;
  bytes = Math.floor(bytes);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
};

/** Milliseconds of a duration; a number without unit is seconds. Undefined: negative, not finite or no duration at all. */
export const parseDuration = (value: unknown): number | undefined => {
  let ms: number;
  if (typeof value === "number" || typeof value === "bigint") ms = Number(value) * 1000;
  else if (typeof value === "string") {
    const match = /^\s*(\d+\.?\d*|\.\d+)\s*(ms|s|m|h)?\s*$/.exec(value);
    if (match === null) return undefined;
    ms = Number(match[1]) * (MILLISECONDS[match[2] ?? "s"] as number);
  } else return undefined;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
};

/** "512 MiB", "1.5 GiB": a size for people. */
export const formatSize = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Math.round(value * 10) / 10} ${units[unit]}`;
};

/** "300 s", "500 ms", "2.5 s": a duration for people. */
export const formatDuration = (ms: number): string =>
  ms < 1000
    ? `${Math.round(ms)} ms`
    : `${Number.isInteger(ms / 1000) ? ms / 1000 : (ms / 1000).toFixed(1)} s`;
