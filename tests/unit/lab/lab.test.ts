import { describe, expect, test } from "bun:test";
import { Lab } from "../../../src/lab/lab.ts";
import { CLOSING_ORDER, Registry, type Resource, type ResourceKind } from "../../../src/lab/registry.ts";
import { Scopes } from "../../../src/lab/scopes.ts";
import { at, fakes, profile, run } from "./fakes.ts";

const setUp = () => {
  const world = fakes();
  const profiles = { default: profile("default"), minimal: profile("minimal") };
  const scopes = new Scopes(world.host, profiles, world.network);
  return { world, scopes, root: scopes.file.lab };
};

describe("names in a lab", () => {
  test("an unknown profile names the known ones", () => {
    const { scopes, root } = setUp();
    expect(() => scopes.createVm(root, "a", "minmal", {})).toThrow(
      "unknown profile `minmal` (known: default, minimal)",
    );
    expect(root.vmNames()).toEqual([]);
  });

  test("a vm name exists once in a lab", () => {
    const { scopes, root } = setUp();
    scopes.createVm(root, "a", "default", {});
    expect(() => scopes.createVm(root, "a", "default", {})).toThrow("DuplicateVmName");
  });

  test("a missing vm is named with the one that was probably meant", () => {
    const { scopes, root } = setUp();
    scopes.createVm(root, "server", "default", {});
    expect(() => root.vm("sever")).toThrow('no vm `sever` in lab `provium` (did you mean "server"?)');
  });

  test("reserved keys cannot be names", () => {
    const { scopes, root } = setUp();
    for (const name of ["pack", "unpack", "vm_fixture", "lab_fixture"])
      expect(() => scopes.createVm(root, name, "default", {})).toThrow("reserved name");
  });

  test("a test may use a vm of the file but not declare its name again", () => {
    const { scopes, root } = setUp();
    const shared = scopes.createVm(root, "shared", "default", {});
    scopes.enterTest("t");
    expect(scopes.current.lab.vm("shared")).toBe(shared);
    expect(() => scopes.createVm(scopes.current.lab, "shared", "default", {})).toThrow(
      'name already declared at parent scope (lab `provium`). Pick a different name, or use `provium:vm("shared")` to reuse it.',
    );
  });

  test("sub-labs hide their names from one another", () => {
    const { scopes, root } = setUp();
    const west = root.lab("west");
    scopes.createVm(west, "a", "default", {});
    scopes.createVm(root.lab("east"), "a", "minimal", {});
    expect(root.findVm("a")).toBeUndefined();
    expect(root.lab("west")).toBe(west);
    expect(root.lab().name).toBe("__lab_0");
    expect(root.members()).toEqual([
      { kind: "sub_lab", name: "west" },
      { kind: "sub_lab", name: "east" },
      { kind: "sub_lab", name: "__lab_0" },
    ]);
  });

  test("a removed vm goes on running", () => {
    const { scopes, root } = setUp();
    const vm = scopes.createVm(root, "a", "default", {});
    run(vm.boot());
    root.remove("a");
    expect(root.members()).toEqual([]);
    expect(vm.state).toBe("booted");
    root.addVm(vm);
    expect(() => root.remove("b")).toThrow("has no member `b`");
  });

  test("a lab cannot include itself", () => {
    const lab = new Lab("x");
    expect(() => lab.addLab(lab)).toThrow("cannot include itself");
  });

  test("a lab cannot include one that contains it, which would have no end for whoever walks through them", () => {
    const { root } = setUp();
    const inner = root.lab("outer").lab("middle").lab("inner");
    expect(() => inner.addLab(root)).toThrow("lab `inner` cannot include lab `provium`, which contains it");
    expect(inner.members()).toEqual([]);
  });

  test("nothing of a list is included when one of it cannot be", () => {
    const { scopes, root } = setUp();
    const [east, west] = [root.lab("east"), root.lab("west")];
    const vm = scopes.createVm(east, "same", "default", {});
    const other = scopes.createVm(west, "same", "default", {});
    const both = root.lab("both");
    expect(() => both.include([vm, east, other])).toThrow("DuplicateVmName");
    expect(both.members()).toEqual([]);
    both.include([vm, east]);
    expect(both.members()).toEqual([
      { kind: "vm", name: "same" },
      { kind: "sub_lab", name: "east" },
    ]);
  });
});

describe("scopes", () => {
  test("a vm of a test ends with the test, one of the file with the file", () => {
    const { scopes, root } = setUp();
    const file = scopes.createVm(root, "file", "default", {});
    const sub = root.lab("sub");
    run(file.boot());
    scopes.enterTest("t");
    const own = scopes.createVm(scopes.current.lab, "own", "default", {});
    const inSub = scopes.createVm(sub, "guest", "default", {});
    run(own.boot());
    run(inSub.boot());
    expect(run(scopes.leaveTest())).toEqual([]);
    expect([file.state, own.state, inSub.state]).toEqual(["booted", "shutdown", "shutdown"]);
    expect(sub.vmNames()).toEqual([]);
    run(scopes.closeFile());
    expect(file.state).toBe("shutdown");
  });

  test("a classic vm belongs to the file, is in no lab, and is killed when left over", () => {
    const { scopes, root } = setUp();
    scopes.enterTest("t");
    const first = scopes.createClassicVm("minimal");
    const second = scopes.createClassicVm("minimal");
    expect([first.name, second.name]).toEqual(["minimal-1", "minimal-2"]);
    run(first.boot());
    run(scopes.leaveTest());
    expect(first.state).toBe("booted");
    expect(root.members()).toEqual([]);
    run(scopes.closeFile());
    expect(first.state).toBe("dead");
  });

  test("shutdown_all reaches the vms of both APIs and every scope", () => {
    const { scopes, root } = setUp();
    const vms = [scopes.createVm(root, "a", "default", {}), scopes.createClassicVm("minimal")];
    scopes.enterTest("t");
    vms.push(scopes.createVm(scopes.current.lab, "b", "default", {}));
    for (const vm of vms) run(vm.boot());
    run(scopes.shutdownAll());
    expect(vms.map((vm) => vm.state)).toEqual(["shutdown", "shutdown", "shutdown"]);
  });

  test("a file claims once", () => {
    const { scopes, world } = setUp();
    run(scopes.claim(2 ** 30, 2));
    expect(() => run(scopes.claim(1, 1))).toThrow("claim already taken");
    expect(world.events.map((event) => event.kind)).toEqual(["claim_acquired"]);
  });

  test("booting a lab leaves running vms alone and reaches sub-labs only when asked", () => {
    const { scopes, root } = setUp();
    const a = scopes.createVm(root, "a", "default", {});
    const b = scopes.createVm(root, "b", "default", {});
    const c = scopes.createVm(root.lab("sub"), "c", "default", {});
    run(a.boot());
    run(root.boot(false));
    expect([a.state, b.state, c.state]).toEqual(["booted", "booted", "created"]);
    run(root.boot(true));
    expect(c.state).toBe("booted");
    run(a.pause());
    expect(() => run(root.pause())).toThrow("vm `a` is paused; pause needs booted");
  });
});

describe("what must be closed", () => {
  const closed: string[] = [];
  const resource = (kind: ResourceKind, label: string, fail = false): Resource => ({
    kind,
    label,
    close: () =>
      at(() => {
        closed.push(label);
        if (fail) throw new Error("stuck");
      }),
  });

  test("users are closed before what they use, in order of registration within a class", () => {
    closed.length = 0;
    const registry = new Registry();
    for (const kind of [...CLOSING_ORDER].reverse()) {
      registry.add(resource(kind, `${kind} 1`));
      registry.add(resource(kind, `${kind} 2`));
    }
    run(registry.close());
    expect(closed).toEqual(CLOSING_ORDER.flatMap((kind) => [`${kind} 1`, `${kind} 2`]));
    expect(registry.size).toBe(0);
  });

  test("a release that fails is reported by name and does not stop the others", () => {
    closed.length = 0;
    const registry = new Registry();
    registry.add(resource("vm", "vm `a`"));
    registry.add(resource("process", "process 7", true));
    const failures = run(registry.close());
    expect(failures.map((error) => error.message)).toEqual(["closing process 7: stuck"]);
    expect(closed).toEqual(["process 7", "vm `a`"]);
  });
});
