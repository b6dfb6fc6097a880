import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Channel } from "../../../src/channel/channel.ts";
import { MAX_BODY_BYTES } from "../../../src/channel/incoming.ts";
import { openLocal } from "../../../src/channel/local.ts";
import { openSerial } from "../../../src/channel/serial.ts";
import { ChannelClosedError } from "../../../src/channel/stream.ts";
import { socketAddress, timeval } from "../../../src/channel/vsock.ts";
import { ProtocolError } from "../../../src/errors/errors.ts";
import { MAX_FRAME_BYTES } from "../../../src/guest/messages.ts";
import { closeFd, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, type Op, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

/** Long enough for any machine; a test that gets here has failed. */
const SOON = 10_000;

class Heard {
  readonly frames: Uint8Array[] = [];
  reason: Error | undefined;
  endings = 0;
  frame(body: Uint8Array): void {
    this.frames.push(body);
  }
  closed(reason: Error): void {
    this.reason = reason;
    this.endings++;
  }
}

let reactor: Reactor;
let channel: Channel;
let peer: number;
let peerOpen: boolean;
let heard: Heard;

const open = (make: (reactor: Reactor, fd: number) => Channel = openLocal): void => {
  const [ours, theirs] = socketPair();
  channel = make(reactor, ours);
  peer = theirs;
  peerOpen = true;
  channel.listen(heard);
};

const hangUp = (): void => {
  if (peerOpen) closeFd(peer);
  peerOpen = false;
};

const wait = (condition: () => boolean): void => {
  const op = function* (): Op<void> {
    expect(yield* until(condition, after(SOON))).toBe(true);
  };
  reactor.run(op());
};

const framed = (...bodies: Uint8Array[]): Uint8Array =>
  Buffer.concat(
    bodies.flatMap((body) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.byteLength);
      return [head, body];
    }),
  );

const pattern = (size: number, seed = 1): Uint8Array => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + seed + (i >> 8)) & 0xff;
  return bytes;
};

/** Everything that comes out at the peer's end until `size` bytes are there. */
const drain = (size: number): Uint8Array => {
  setNonBlocking(peer);
  const all = new Uint8Array(size);
  let at = 0;
  wait(() => {
    for (;;) {
      const n = readSome(peer, all.subarray(at));
      if (n <= 0) return at === size;
      at += n;
      if (at === size) return true;
    }
  });
  return all;
};

beforeEach(() => {
  reactor = new Reactor();
  heard = new Heard();
});

afterEach(() => {
  channel.close();
  hangUp();
});

describe("receiving", () => {
  test("frames arrive whole and in order however the bytes are cut", () => {
    open();
    const bodies = [pattern(1), pattern(5), pattern(300), pattern(70_000), pattern(3)];
    const bytes = framed(...bodies);
    const cuts = [1, 2, 3, 4, 5, 100, 7, 60_000, 1];
    let at = 0;
    for (let i = 0; at < bytes.byteLength; i++) {
      at += writeSome(peer, bytes.subarray(at, at + (cuts[i % cuts.length] as number)));
      reactor.poll();
    }
    wait(() => heard.frames.length === bodies.length);
    expect(heard.frames).toEqual(bodies);
  });

  test("a body larger than any buffer arrives unharmed", () => {
    open();
    const bytes = framed(pattern(3_000_000), pattern(9));
    setNonBlocking(peer);
    let at = 0;
    wait(() => {
      if (at < bytes.byteLength) at += Math.max(0, writeSome(peer, bytes.subarray(at)));
      return heard.frames.length === 2;
    });
    expect(heard.frames[0]).toEqual(pattern(3_000_000));
    expect(heard.frames[1]).toEqual(pattern(9));
  });

  test("memory that was given back carries later bodies, and others keep theirs", () => {
    open();
    setNonBlocking(peer);
    const give = (body: Uint8Array): Uint8Array => {
      const bytes = framed(body);
      const before = heard.frames.length;
      let at = 0;
      wait(() => {
        if (at < bytes.byteLength) at += Math.max(0, writeSome(peer, bytes.subarray(at)));
        return heard.frames.length > before;
      });
      return heard.frames.at(-1) as Uint8Array;
    };
    const kept = give(pattern(300_000, 1));
    const back = give(pattern(300_000, 2));
    channel.recycle(back.subarray(5, 10));
    const next = give(pattern(299_000, 3));
    expect(next.buffer).toBe(back.buffer);
    expect(next).toEqual(pattern(299_000, 3));
    expect(kept).toEqual(pattern(300_000, 1));
    expect(give(pattern(300_000, 4)).buffer).not.toBe(back.buffer);
  });

  test("a delivered body stays as it is while later frames arrive", () => {
    open();
    for (let i = 0; i < 50; i++) {
      writeSome(peer, framed(pattern(10_000, i)));
      wait(() => heard.frames.length === i + 1);
    }
    heard.frames.forEach((body, i) => {
      expect(body).toEqual(pattern(10_000, i));
    });
  });

  test("the channel carries what the wire allows", () => {
    expect(MAX_BODY_BYTES).toBe(MAX_FRAME_BYTES);
  });

  test.each([0, MAX_BODY_BYTES + 1, 0xffff_ffff])("a length of %d ends the channel", (length) => {
    open();
    const head = Buffer.alloc(8);
    head.writeUInt32BE(length);
    writeSome(peer, head);
    wait(() => heard.reason !== undefined);
    expect(heard.reason).toBeInstanceOf(ProtocolError);
    expect(heard.reason?.message).toContain(String(length));
    expect(heard.frames).toEqual([]);
  });

  test("a listener that throws ends the channel with what it threw", () => {
    const [ours, theirs] = socketPair();
    channel = openLocal(reactor, ours);
    peer = theirs;
    peerOpen = true;
    const error = new ProtocolError("nonsense");
    let reason: Error | undefined;
    let frames = 0;
    channel.listen({
      frame() {
        frames++;
        throw error;
      },
      closed(why) {
        reason = why;
      },
    });
    writeSome(peer, framed(pattern(1), pattern(1)));
    wait(() => reason !== undefined);
    expect(reason).toBe(error);
    expect(frames).toBe(1);
  });

  test("the bytes of a frame count as received before it is whole", () => {
    open();
    writeSome(peer, framed(pattern(100_000)).subarray(0, 70_000));
    wait(() => channel.received === 70_000);
    expect(heard.frames).toEqual([]);
  });

  test("nothing is read before somebody listens", () => {
    const [ours, theirs] = socketPair();
    channel = openLocal(reactor, ours);
    peer = theirs;
    peerOpen = true;
    writeSome(peer, framed(pattern(4)));
    reactor.poll();
    expect(heard.frames).toEqual([]);
    channel.listen(heard);
    wait(() => heard.frames.length === 1);
  });
});

describe("the end", () => {
  test("a peer that closes is told once, after the frames it had sent", () => {
    open();
    writeSome(peer, framed(pattern(4)));
    hangUp();
    wait(() => heard.reason !== undefined);
    expect(heard.frames).toEqual([pattern(4)]);
    expect(heard.reason).toBeInstanceOf(ChannelClosedError);
    reactor.poll();
    expect(heard.endings).toBe(1);
  });

  test("a peer that closes in the middle of a frame leaves no frame", () => {
    open();
    writeSome(peer, framed(pattern(100_000)).subarray(0, 80_000));
    hangUp();
    wait(() => heard.reason !== undefined);
    expect(heard.frames).toEqual([]);
  });

  test("sending to a peer that is gone is an ending, not a crash", () => {
    open();
    hangUp();
    channel.send(pattern(10));
    wait(() => heard.reason !== undefined);
    expect(heard.reason).toBeInstanceOf(ChannelClosedError);
    channel.send(pattern(10));
  });

  test("after close the listener hears nothing", () => {
    open();
    writeSome(peer, framed(pattern(4)));
    channel.close();
    channel.close();
    reactor.poll();
    expect(heard.frames).toEqual([]);
    expect(heard.endings).toBe(0);
  });

  test("whoever waits for the queue is told that the channel ended", () => {
    open();
    channel.send(pattern(8_000_000));
    const op = channel.drained(0);
    hangUp();
    expect(() => reactor.run(op)).toThrow(ChannelClosedError);
  });
});

describe("sending", () => {
  test("parts of a body go out as one frame", () => {
    open();
    const parts = [pattern(3), pattern(200_000, 2), pattern(0), pattern(17, 3), pattern(20_000, 4)];
    channel.send(...parts);
    channel.send(pattern(2, 9));
    const expected = framed(Buffer.concat(parts), pattern(2, 9));
    expect(drain(expected.byteLength)).toEqual(new Uint8Array(expected));
    expect(channel.queued).toBe(0);
  });

  test("a peer that does not read holds the bytes in the queue, and send never blocks", () => {
    open();
    const bodies = Array.from({ length: 300 }, (_, i) => pattern(i % 3 === 0 ? 40_000 : 100 + i, i));
    for (const body of bodies) channel.send(body);
    expect(channel.queued).toBeGreaterThan(1_000_000);
    const expected = framed(...bodies);
    expect(drain(expected.byteLength)).toEqual(new Uint8Array(expected));
    expect(channel.queued).toBe(0);
  });

  test("drained waits until the queue is small enough", () => {
    open();
    channel.send(pattern(4_000_000));
    setNonBlocking(peer);
    const sink = new Uint8Array(100_000);
    const reader = reactor.watch(peer, 1, () => readSome(peer, sink));
    reactor.run(channel.drained(1_000_000));
    expect(channel.queued).toBeLessThanOrEqual(1_000_000);
    expect(channel.queued).toBeGreaterThan(0);
    reader.close();
  });
});

describe("serial sessions", () => {
  const magic = Uint8Array.of(255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const accepts = (body: Uint8Array): boolean => body.byteLength === 7;

  test("the question is the magic and the frame", () => {
    open(openSerial);
    channel.resync?.({ magic, body: pattern(5), accepts });
    const expected = Buffer.concat([magic, framed(pattern(5))]);
    expect(drain(expected.byteLength)).toEqual(new Uint8Array(expected));
  });

  test("everything before the answer is skipped, byte by byte too", () => {
    open(openSerial);
    channel.resync?.({ magic, body: pattern(5), accepts });
    const stale = Buffer.concat([
      framed(pattern(50_000)).subarray(10),
      magic.subarray(0, 9),
      magic,
      framed(pattern(6)),
      magic,
      Buffer.of(0xff, 0xff, 0xff, 0xff),
    ]);
    writeSome(peer, stale);
    reactor.poll();
    const answer = Buffer.concat([magic, framed(pattern(7), pattern(3))]);
    for (const byte of answer) {
      writeSome(peer, Uint8Array.of(byte));
      reactor.poll();
    }
    wait(() => heard.frames.length === 2);
    expect(heard.frames).toEqual([pattern(7), pattern(3)]);
  });

  test("megabytes of remains are skipped without being kept", () => {
    open(openSerial);
    channel.resync?.({ magic, body: pattern(5), accepts });
    setNonBlocking(peer);
    const bytes = Buffer.concat([new Uint8Array(5_000_000).fill(255), magic, framed(pattern(7))]);
    let at = 0;
    wait(() => {
      if (at < bytes.byteLength) at += Math.max(0, writeSome(peer, bytes.subarray(at)));
      return heard.frames.length === 1;
    });
    expect(heard.reason).toBeUndefined();
  });
});

test("a time is seconds and microseconds", () => {
  expect([...timeval(2_250)]).toEqual([2n, 250_000n]);
});

test("a vsock address has family, port and CID where the kernel looks for them", () => {
  expect([...socketAddress(3, 5123)]).toEqual([40, 0, 0, 0, 0x03, 0x14, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
});
