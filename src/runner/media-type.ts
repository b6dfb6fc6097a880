/** What kind of data an attachment is, so that a report can show it. */

const BY_ENDING: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  json: "application/json",
  pcap: "application/vnd.tcpdump.pcap",
};

const strict = new TextDecoder("utf-8", { fatal: true });

/** By the ending of the name; else text where the bytes are UTF-8, and plain bytes where they are not. */
export const mediaTypeOf = (name: string, data: Uint8Array): string => {
  const known = BY_ENDING[/\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? ""];
  if (known !== undefined) return known;
  try {
    strict.decode(data);
    return "text/plain";
  } catch {
    return "application/octet-stream";
  }
};
