/** The middle of a list; the mean of the two middles of an even one. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The value below which the share `q` (0 to 1) of the list lies, interpolated. */
export const quantile = (values: readonly number[], q: number): number => {
  if (values.length === 0) throw new Error("a quantile of nothing was asked for");
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
};
