/** Text that may come from a guest or a test, made fit for a terminal. */

const NAMED: Readonly<Record<string, string>> = {
  "\u001b": "\\e",
  "\0": "\\0",
  "\u0007": "\\a",
  "\b": "\\b",
};

/**
 * Control characters become visible: nothing that a guest prints moves the cursor, changes a title or hides text.
 * Line breaks and tabs stay; bidirectional overrides are shown too, since they reorder what people read, and Unicode's
 * separators of lines and paragraphs, at which some readers of a report break lines.
 */
export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (char) => {
      const code = char.charCodeAt(0);
      return (
        NAMED[char] ??
        (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`)
      );
    });

/**
 * The same on one line: a name or a reason cannot pretend to be a line of the report. Tabs are spaces, since what a
 * tab takes on a terminal depends on where it stands.
 */
export const oneLine = (text: string): string => visible(text).replace(/[\n\t]/g, " ");

/** JSON escapes the control characters below 32 itself; these may act on a terminal too. */
export const harmlessJson = (json: string): string =>
  json.replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** The lines without the empty ones at the end. A pattern (`\n+$`) would take the square of a long run of line breaks. */
const linesOf = (text: string): string[] => {
  let end = text.length;
  while (end > 0 && text[end - 1] === "\n") end--;
  return text.slice(0, end).split("\n");
};

/** Every line behind `prefix`, without trailing line break. */
export const indent = (text: string, prefix: string): string =>
  linesOf(text)
    .map((line) => (line === "" ? prefix.trimEnd() : prefix + line))
    .join("\n");

/** The last `lines` lines; says how many are missing. */
export const tail = (text: string, lines: number): string => {
  const all = linesOf(text);
  const hidden = all.length - lines;
  return hidden <= 0 ? all.join("\n") : [`… ${hidden} more line(s) above`, ...all.slice(hidden)].join("\n");
};
