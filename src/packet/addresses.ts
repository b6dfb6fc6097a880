/** Addresses as people write them. */

/** "52:54:00:00:00:01". */
export const macText = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

/** "10.1.2.3". */
export const ipv4Text = (bytes: Uint8Array): string => bytes.join(".");

/** "fe80::1": lower case, the longest run of two or more zero groups left out, the first of equals (RFC 5952). */
export const ipv6Text = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let [start, length] = [0, 1];
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
};

/** The sixteen bytes of an address without an IPv4 part and without a zone. */
export const ipv6Bytes = (text: string): Uint8Array => {
  const [head = [], tail] = text.split("::").map((part) => part.split(":").filter((group) => group !== ""));
  const left = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill("0");
  const groups = [...head, ...left, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
};
