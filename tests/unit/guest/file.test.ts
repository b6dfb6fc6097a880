import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiError, GuestError } from "../../../src/errors/errors.ts";
import { PIECE_BYTES } from "../../../src/guest/file.ts";
import { bytes, FakeAgent, text } from "./fake-agent.ts";

const FD = 9;
const ESPIPE = 29;
const ENOSPC = 28;

const pattern = (size: number): Uint8Array => {
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) data[i] = (i * 13 + (i >> 9)) & 0xff;
  return data;
};

/** Serves `content` as a file; `sizeKnown`: whether it can be sought. */
const serveFile = (agent: FakeAgent, content: Uint8Array, sizeKnown: boolean): void => {
  let cursor = 0;
  agent
    .on("FILE_GET", ({ limit }) => {
      cursor = Math.min(content.byteLength, Number(limit));
      return { data: content.subarray(0, cursor), fd: cursor < content.byteLength ? FD : -1 };
    })
    .on("FILE_READ", ({ length }) => {
      const data = content.subarray(cursor, cursor + Number(length));
      cursor += data.byteLength;
      return { data };
    })
    .on("FILE_CLOSE", () => ({}));
  if (!sizeKnown) agent.refuse("FILE_SEEK", ESPIPE, "lseek");
  else
    agent.on("FILE_SEEK", ({ offset, whence }) => {
      cursor = Number(whence) === 2 ? content.byteLength : Number(offset);
      return { offset: cursor };
    });
};

/** Takes what is written; the file as it stands afterwards. */
const takeFile = (agent: FakeAgent): { readonly pieces: Uint8Array[]; readonly open: () => boolean } => {
  const pieces: Uint8Array[] = [];
  let open = false;
  agent
    .on("FILE_PUT", ({ data, more }) => {
      pieces.push(data);
      open = more;
      return { fd: more ? FD : -1 };
    })
    .on("FILE_WRITE", ({ data }) => {
      pieces.push(data);
      return { written: data.byteLength };
    })
    .on("FILE_CLOSE", () => {
      open = false;
      return {};
    });
  return { pieces, open: () => open };
};

describe("reading", () => {
  test("a small file is one request", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    serveFile(agent, bytes("content"), true);
    expect(text(agent.run(guest.main.readFile(bytes("/f"))))).toBe("content");
    expect(agent.asked.map(({ name }) => name)).toEqual(["FILE_GET"]);
  });

  const sizes = [PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 20 * PIECE_BYTES + 77];
  for (const known of [true, false]) {
    test.each(sizes)(`%d bytes arrive whole, size ${known ? "known" : "unknown"}`, (size) => {
      using agent = new FakeAgent();
      const guest = agent.session();
      const content = pattern(size);
      serveFile(agent, content, known);
      const result = agent.run(guest.main.readFile(bytes("/f")));
      expect(Buffer.compare(result, content)).toBe(0);
      const opened = size > PIECE_BYTES;
      agent.wait(() => agent.of("FILE_CLOSE").length === (opened ? 1 : 0));
    });
  }

  test("a size that the guest made up costs nothing", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const content = pattern(PIECE_BYTES + 10);
    serveFile(agent, content, true);
    agent.on("FILE_SEEK", () => ({ offset: 2n ** 60n }));
    let reads = 0;
    agent.on("FILE_READ", () => ({
      data: reads++ === 0 ? content.subarray(PIECE_BYTES) : new Uint8Array(0),
    }));
    expect(Buffer.compare(agent.run(guest.main.readFile(bytes("/f"))), content)).toBe(0);
  });

  test("a failure in the middle closes the guest's descriptor", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    serveFile(agent, pattern(9 * PIECE_BYTES), true);
    agent.refuse("FILE_READ", 5, "read");
    expect(() => agent.run(guest.main.readFile(bytes("/f")))).toThrow("read `/f`: Input/output error (EIO)");
    agent.wait(() => agent.of("FILE_CLOSE").length === 1);
  });
});

describe("writing", () => {
  test.each([0, 5, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 17 * PIECE_BYTES + 3])(
    "%d bytes arrive whole and the file is closed",
    (size) => {
      using agent = new FakeAgent();
      const guest = agent.session();
      const file = takeFile(agent);
      const content = pattern(size);
      agent.run(guest.main.writeFile(bytes("/f"), content, 0o600));
      expect(Buffer.compare(Buffer.concat(file.pieces), content)).toBe(0);
      expect(file.open()).toBe(false);
      expect(agent.of("FILE_PUT")[0]?.payload.perm).toBe(0o600);
    },
  );

  test("several pieces are under way at a time, and never many", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    takeFile(agent);
    let most = 0;
    let answered = 0;
    agent.on("FILE_WRITE", ({ data }, asked) => {
      most = Math.max(most, agent.of("FILE_WRITE").length - answered);
      if (agent.of("FILE_WRITE").length - answered >= 3) {
        for (const late of agent.of("FILE_WRITE").slice(answered))
          agent.ok("FILE_WRITE", late, { written: (late.payload.data as Uint8Array).byteLength });
        answered = agent.of("FILE_WRITE").length;
      } else if (data.byteLength < PIECE_BYTES || agent.of("FILE_WRITE").length > 20) {
        for (const late of agent.of("FILE_WRITE").slice(answered))
          agent.ok("FILE_WRITE", late, { written: (late.payload.data as Uint8Array).byteLength });
        answered = agent.of("FILE_WRITE").length;
      }
      void asked;
      return undefined;
    });
    agent.run(guest.main.writeFile(bytes("/f"), pattern(16 * PIECE_BYTES + 1)));
    expect(most).toBeGreaterThanOrEqual(2);
    expect(most).toBeLessThanOrEqual(8);
  });

  test("a full disk in the middle is the guest's error, and the descriptor is closed", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const file = takeFile(agent);
    agent.refuse("FILE_WRITE", ENOSPC, "write");
    expect(() => agent.run(guest.main.writeFile(bytes("/f"), pattern(9 * PIECE_BYTES)))).toThrow(
      "write `/f`: No space left on device (ENOSPC)",
    );
    agent.wait(() => !file.open());
  });

  test("an error that only the close reports is not lost", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    takeFile(agent);
    agent.refuse("FILE_CLOSE", 122, "close");
    expect(() => agent.run(guest.main.writeFile(bytes("/f"), pattern(2 * PIECE_BYTES)))).toThrow(GuestError);
  });
});

describe("pushing a host file", () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([0, 100, PIECE_BYTES, 30 * PIECE_BYTES + 1])("%d bytes arrive whole", (size) => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const file = takeFile(agent);
    const content = pattern(size);
    const path = join(directory, `file-${size}`);
    writeFileSync(path, content);
    agent.run(guest.main.pushFile(path, bytes("/f")));
    expect(Buffer.compare(Buffer.concat(file.pieces), content)).toBe(0);
    expect(agent.of("FILE_PUT")[0]?.payload.perm).toBe(-1);
  });

  test("a host file that is not there is named before the guest is asked", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const path = join(directory, "absent");
    expect(() => agent.run(guest.main.pushFile(path, bytes("/f")))).toThrow(ApiError);
    expect(() => agent.run(guest.main.pushFile(path, bytes("/f")))).toThrow(path);
    expect(agent.asked).toEqual([]);
  });
});
