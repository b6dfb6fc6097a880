/** A table of ours, asked for a name that Lua code gives: what every JS object has ("constructor") is not in it. */
export const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
