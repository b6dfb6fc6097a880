/** Text that may come from a guest or a test, made fit for a terminal. */

const NAMED: Readonly<Record<string, string>> = {
  "\u001b": "\\e",
  "\0": "\\0",
  "\u0007": "\\a",
  "\b": "\\b",
};

/**
 * Control characters become visible: nothing that a guest prints moves the cursor, changes a title or hides text.
 * Line breaks and tabs stay; bidirectional overrides are shown too, since they reorder what people read.
 */
export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) => {
      const code = char.charCodeAt(0);
      return (
        NAMED[char] ??
        (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`)
      );
    });

/** Every line behind `prefix`, without trailing line break. */
export const indent = (text: string, prefix: string): string =>
  text
    .replace(/\n+$/, "")
    .split("\n")
    .map((line) => (line === "" ? prefix.trimEnd() : prefix + line))
    .join("\n");

/** The last `lines` lines; says how many are missing. */
export const tail = (text: string, lines: number): string => {
  const all = text.replace(/\n+$/, "").split("\n");
  const hidden = all.length - lines;
  return hidden <= 0 ? all.join("\n") : [`… ${hidden} more line(s) above`, ...all.slice(hidden)].join("\n");
};
