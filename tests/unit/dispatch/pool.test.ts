import { describe, expect, test } from "bun:test";
import { Pool } from "../../../src/dispatch/pool.ts";
import { HostError } from "../../../src/errors/errors.ts";

const MIB = 2 ** 20;

/** A pool with the names of granted draws in order; `release` takes a name. */
const fixture = (memoryMib: number, cpus: number) => {
  const pool = new Pool({ memory_bytes: memoryMib * MIB, cpus });
  const granted: string[] = [];
  const ids = new Map<string, number>();
  return {
    pool,
    granted,
    draw: (file: string, vm: string, memory: number, wanted = 1) =>
      pool.draw(file, vm, { memory_bytes: memory * MIB, cpus: wanted }, (id) => {
        granted.push(vm);
        ids.set(vm, id);
      }),
    release: (vm: string) => pool.release(ids.get(vm) as number),
  };
};

describe("pool", () => {
  test("a draw that fits is granted at once, others wait for a release in order", () => {
    const { pool, draw, granted, release } = fixture(1000, 4);
    for (const file of ["a", "b", "c"]) expect(pool.enter(file)).toBe(true);
    draw("a", "a1", 600);
    draw("b", "b1", 600);
    draw("a", "a2", 100);
    expect(granted).toEqual(["a1"]);
    release("a1");
    expect(granted).toEqual(["a1", "b1", "a2"]);
  });

  test("what is granted never exceeds the pool while some file does not wait", () => {
    const { pool, draw } = fixture(1000, 2);
    pool.enter("a");
    pool.enter("b");
    for (let i = 0; i < 10; i++) draw("a", `a${i}`, 90);
    expect(pool.used.memory_bytes).toBeLessThanOrEqual(1000 * MIB);
    expect(pool.used.cpus).toBeLessThanOrEqual(2);
  });

  test("when every file waits the oldest draw goes ahead", () => {
    const { pool, draw, granted } = fixture(1000, 8);
    pool.enter("a");
    pool.enter("b");
    draw("a", "a1", 400);
    draw("b", "b1", 400);
    draw("a", "a2", 400);
    expect(granted).toEqual(["a1", "b1"]);
    draw("b", "b2", 400);
    expect(granted).toEqual(["a1", "b1", "a2"]);
  });

  test("a file alone may use more CPUs than there are, one machine may not", () => {
    const { pool, draw, granted } = fixture(1000, 2);
    pool.enter("a");
    draw("a", "a1", 10, 2);
    draw("a", "a2", 10, 2);
    expect(granted).toEqual(["a1", "a2"]);
    expect(() => draw("a", "a3", 10, 3)).toThrow("vm `a3` asks for 3 CPUs; the pool has 2");
  });

  test("memory that a file could never have is refused with both figures", () => {
    const { pool, draw } = fixture(1000, 2);
    pool.enter("a");
    draw("a", "a1", 500);
    expect(() => draw("a", "a2", 500)).toThrow(HostError);
    expect(() => draw("a", "a2", 500)).toThrow(
      "vm `a2` asks for 500 MiB of memory on top of the 500 MiB that its file holds; the pool has 950 MiB",
    );
  });

  test("a file that leaves gives everything back and takes its wishes along", () => {
    const { pool, draw, granted } = fixture(1000, 8);
    pool.enter("a");
    pool.enter("b");
    draw("a", "a1", 800);
    draw("b", "b1", 500);
    draw("a", "a2", 100);
    pool.leave("a");
    expect(granted).toEqual(["a1", "b1"]);
    pool.leave("b");
    expect(pool.used).toEqual({ memory_bytes: 0, cpus: 0 });
  });

  test("a file waits for room unless it would be alone", () => {
    const { pool } = fixture(60, 1);
    expect(pool.enter("a")).toBe(true);
    expect(pool.enter("b")).toBe(false);
    pool.leave("a");
    expect(pool.enter("b")).toBe(true);
  });
});
