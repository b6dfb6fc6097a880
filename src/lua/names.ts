/** What the instances of each defined class are called in messages. */

const names = new Map<unknown, string>();

export const nameInstances = (of: { readonly prototype: object }, name: string): void => {
  names.set(of.prototype, name);
};

/** The class name of an instance; undefined for an object that no class of ours declares. */
export const nameOf = (instance: object): string | undefined => {
  for (let at: unknown = Object.getPrototypeOf(instance); at !== null; at = Object.getPrototypeOf(at)) {
    const name = names.get(at);
    if (name !== undefined) return name;
  }
  return undefined;
};
