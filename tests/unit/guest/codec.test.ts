import { describe, expect, test } from "bun:test";
import { Packr } from "msgpackr";
import { ProtocolError } from "../../../src/errors/errors.ts";
import { encode, encodeReply, Frame } from "../../../src/guest/codec.ts";
import { MESSAGES } from "../../../src/guest/messages.ts";
import { bytes } from "./fake-agent.ts";

const other = new Packr({ useRecords: false, int64AsType: "bigint" });
const whole = (parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);

describe("frames", () => {
  test("a request is kind, actor, id and the fields in the order of the table", () => {
    const body = whole(encode("STAT", 1, 77, { path: bytes("/etc"), follow: true }));
    expect(other.unpack(body)).toEqual([MESSAGES.STAT.kind, 1, 77, [Buffer.from("/etc"), true]]);
  });

  test("an absent optional field is nil", () => {
    const frame = {
      process: 1,
      argv: [bytes("true")],
      env: [],
      env_clear: false,
      cwd: null,
      stdin: null,
      stdin_open: false,
      timeout_ms: 0,
      window: 5,
    };
    const body = whole(encode("PROC_START", 1, 2, frame));
    expect(other.unpack(body)[3]).toEqual([1, [Buffer.from("true")], [], false, null, null, false, 0, 5]);
    expect(new Frame(body).payload("PROC_START").cwd).toBeNull();
  });

  test("a reply has the fields of the request's reply", () => {
    const frame = new Frame(whole(encodeReply("SYSCALL", 1, 5, { ret: -2, out: [bytes("ab")] })));
    expect(frame.kind).toBe(MESSAGES.OK.kind);
    expect(frame.requestId).toBe(5);
    const reply = frame.reply("SYSCALL");
    expect(reply.ret).toBe(-2);
    expect(reply.out.map((out) => new TextDecoder().decode(out))).toEqual(["ab"]);
  });

  test("further fields behind the known ones are ignored", () => {
    const frame = new Frame(other.pack([MESSAGES.OK.kind, 1, 5, [9, [], "new", { a: 1 }]]));
    expect(frame.reply("SYSCALL")).toEqual({ ret: 9, out: [] });
  });

  test("a frame that failed to encode leaves nothing for the next one", () => {
    expect(() => encode("CLOCK_SET", 1, 1, { ns: 2n ** 70n })).toThrow(RangeError);
    const body = whole(encode("CLOCK_GET", 1, 2, {}));
    expect(other.unpack(body)).toEqual([MESSAGES.CLOCK_GET.kind, 1, 2, []]);
  });
});

describe("what does not fit is named", () => {
  const failure = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
      return (error as Error).message;
    }
    throw new Error("nothing was thrown");
  };

  test("a missing field", () => {
    const frame = new Frame(other.pack([MESSAGES.EXIT.kind, 0, 0, [1, 0]]));
    expect(failure(() => frame.payload("EXIT"))).toBe("EXIT: field code is missing");
  });

  test("a wrong type", () => {
    const frame = new Frame(other.pack([MESSAGES.EXIT.kind, 0, 0, [1, "exited", 0, false]]));
    expect(failure(() => frame.payload("EXIT"))).toContain(
      "EXIT, field how: an integer was expected and a byte",
    );
  });

  test("a wrong type in a list", () => {
    const frame = new Frame(other.pack([MESSAGES.OK.kind, 0, 0, [1, [5]]]));
    expect(failure(() => frame.reply("SYSCALL"))).toContain("the answer to SYSCALL, field out");
  });

  test.each([
    [other.pack({ a: 1 })],
    [other.pack([1, 2, 3])],
    [other.pack([-1, 0, 0, []])],
    [other.pack([3, 0, 2n ** 60n, []])],
    [Uint8Array.of(0x94)],
  ])("a body that is no frame", (body) => {
    failure(() => new Frame(body));
  });

  test("an unknown kind has its number as its name", () => {
    expect(new Frame(other.pack([999, 0, 0, []])).name).toBe("kind 999");
  });
});
