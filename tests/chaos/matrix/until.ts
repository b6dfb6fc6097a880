/** Waits until the condition holds; false when it does not within `ms`. */
export const until = async (condition: () => boolean, ms: number): Promise<boolean> => {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) return false;
    await Bun.sleep(10);
  }
  return true;
};
