/** A lab: a name space of VMs and sub-labs. A test's own lab looks further in its parent, the file's root. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { all, type Op } from "../sys/op.ts";
import { Barriers } from "./barrier.ts";
import type { Bridge } from "./bridge.ts";
import { checkName, duplicate, shadowed } from "./names.ts";
import type { Vm } from "./vm.ts";

export interface Member {
  readonly kind: "vm" | "bridge" | "sub_lab";
  readonly name: string;
}

export class Lab {
  private readonly vms = new Map<string, Vm>();
  private readonly bridges = new Map<string, Bridge>();
  private readonly labs = new Map<string, Lab>();
  readonly barriers = new Barriers();
  private nameless = 0;

  constructor(
    readonly name: string,
    /** Where names are looked up further: only the lab of a test has one. */
    readonly parent?: Lab,
    /** What events put before the names of its VMs: sub-labs may have VMs of the same name. */
    readonly prefix = "",
  ) {}

  findVm(name: string): Vm | undefined {
    return this.vms.get(name) ?? this.parent?.findVm(name);
  }

  findBridge(name: string): Bridge | undefined {
    return this.bridges.get(name) ?? this.parent?.findBridge(name);
  }

  /** The bridge of that name, here or in the parent. Throws ApiError naming the known ones. */
  bridge(name: string): Bridge {
    const bridge = this.findBridge(name);
    if (bridge !== undefined) return bridge;
    throw new ApiError(`bridge \`${name}\` not found (${suggestion(name, this.visibleBridges())})`, {
      hint: `Make it first: lab:bridge("${name}").`,
    });
  }

  private visibleBridges(): string[] {
    return [...new Set([...this.bridges.keys(), ...(this.parent?.visibleBridges() ?? [])])];
  }

  checkBridgeName(name: string): void {
    checkName("bridge", name);
    if (this.bridges.has(name)) throw duplicate("DuplicateBridgeName", name, this.name);
    if (this.parent?.findBridge(name) !== undefined) throw shadowed("bridge", name, this.parent.name);
  }

  addBridge(bridge: Bridge): void {
    this.checkBridgeName(bridge.name);
    this.bridges.set(bridge.name, bridge);
  }

  bridgeNames(): string[] {
    return [...this.bridges.keys()];
  }

  /** Bridges here and in the parents. */
  allBridges(): Bridge[] {
    return [...this.bridges.values(), ...(this.parent?.allBridges() ?? [])];
  }

  /** Its own, in order of declaration. */
  ownBridges(): Bridge[] {
    return [...this.bridges.values()];
  }

  findLab(name: string): Lab | undefined {
    return this.labs.get(name) ?? this.parent?.findLab(name);
  }

  /** The VM of that name, here or in the parent. Throws ApiError naming the known ones. */
  vm(name: string): Vm {
    const vm = this.findVm(name);
    if (vm !== undefined) return vm;
    const known = this.visibleVms();
    throw new ApiError(`no vm \`${name}\` in lab \`${this.name}\` (${suggestion(name, known)})`, {
      hint: `Create it with a profile: lab:vm("${name}", "default").`,
    });
  }

  /** Names of the VMs here and in the parents. */
  private visibleVms(): string[] {
    return [...new Set([...this.vms.keys(), ...(this.parent?.visibleVms() ?? [])])];
  }

  /** Throws unless a VM of that name may be declared here. */
  checkVmName(name: string): void {
    checkName("vm", name);
    if (this.vms.has(name)) throw duplicate("DuplicateVmName", name, this.name);
    if (this.parent?.findVm(name) !== undefined) throw shadowed("vm", name, this.parent.name);
  }

  /** `name`, or where a VM has it already, the next of `name#2`, `name#3`, … */
  freeVmName(name: string): string {
    for (let n = 1; ; n++) {
      const free = n === 1 ? name : `${name}#${n}`;
      if (this.findVm(free) === undefined) return free;
    }
  }

  addVm(vm: Vm): void {
    this.checkVmName(vm.name);
    this.vms.set(vm.name, vm);
  }

  /** The sub-lab of that name, made when there is none. Without a name: a new one, `__lab_0`, `__lab_1`, … */
  lab(name?: string): Lab {
    if (name !== undefined) {
      const found = this.findLab(name);
      if (found !== undefined) return found;
      checkName("lab", name);
    }
    const own = name ?? this.freshName();
    const lab = new Lab(own, undefined, `${this.prefix}${own}/`);
    this.labs.set(own, lab);
    return lab;
  }

  addLab(lab: Lab): void {
    checkName("lab", lab.name);
    if (lab === this) throw new ApiError(`lab \`${this.name}\` cannot include itself`);
    if (lab.contains(this))
      throw new ApiError(`lab \`${this.name}\` cannot include lab \`${lab.name}\`, which contains it`);
    if (this.labs.has(lab.name)) throw duplicate("DuplicateLabName", lab.name, this.name);
    if (this.parent?.findLab(lab.name) !== undefined) throw shadowed("lab", lab.name, this.parent.name);
    this.labs.set(lab.name, lab);
  }

  /** Adds VMs, bridges and labs; none of them when one cannot be added. */
  include(members: readonly (Vm | Bridge | Lab)[]): void {
    const added: (Vm | Bridge | Lab)[] = [];
    try {
      for (const member of members) {
        if (member instanceof Lab) this.addLab(member);
        else if (member.kind === "bridge") this.addBridge(member);
        else this.addVm(member);
        added.push(member);
      }
    } catch (error) {
      for (const member of added) this.remove(member);
      throw error;
    }
  }

  /** Whether a lab is among its sub-labs, however deep. */
  private contains(lab: Lab): boolean {
    return [...this.labs.values()].some((sub) => sub === lab || sub.contains(lab));
  }

  /** Takes a member out, which itself goes on. A name tries VMs, then bridges, then sub-labs. */
  remove(what: string | Vm | Bridge | Lab): void {
    if (typeof what === "string") {
      if (this.vms.delete(what) || this.bridges.delete(what) || this.labs.delete(what)) return;
      const known = this.members().map((member) => member.name);
      throw new ApiError(`lab \`${this.name}\` has no member \`${what}\` (${suggestion(what, known)})`);
    }
    const [kind, held]: [string, Map<string, Vm | Bridge | Lab>] =
      what instanceof Lab
        ? ["lab", this.labs]
        : what.kind === "bridge"
          ? ["bridge", this.bridges]
          : ["vm", this.vms];
    if (held.get(what.name) !== what)
      throw new ApiError(`${kind} \`${what.name}\` is no member of lab \`${this.name}\``);
    held.delete(what.name);
  }

  /** Forgets a VM that has ended with its scope, here and in every sub-lab. */
  forget(vm: Vm): void {
    if (this.vms.get(vm.name) === vm) this.vms.delete(vm.name);
    for (const lab of this.labs.values()) lab.forget(vm);
  }

  /** Forgets a bridge that has been closed, here and in every sub-lab. */
  forgetBridge(bridge: Bridge): void {
    if (this.bridges.get(bridge.name) === bridge) this.bridges.delete(bridge.name);
    for (const lab of this.labs.values()) lab.forgetBridge(bridge);
  }

  vmNames(): string[] {
    return [...this.vms.keys()];
  }

  labNames(): string[] {
    return [...this.labs.keys()];
  }

  members(): Member[] {
    return [
      ...this.vmNames().map((name) => ({ kind: "vm", name }) as const),
      ...this.bridgeNames().map((name) => ({ kind: "bridge", name }) as const),
      ...this.labNames().map((name) => ({ kind: "sub_lab", name }) as const),
    ];
  }

  /** Direct VMs, in order of declaration; with those of all sub-labs when asked. */
  allVms(recursive = false): Vm[] {
    const below = recursive ? [...this.labs.values()].flatMap((lab) => lab.allVms(true)) : [];
    return [...new Set([...this.vms.values(), ...below])];
  }

  /** Boots every VM that does not run yet, side by side. */
  *boot(recursive: boolean): Op<void> {
    const idle = this.allVms(recursive).filter((vm) => vm.state !== "booted" && vm.state !== "paused");
    yield* all(idle.map((vm) => vm.boot()));
  }

  *shutdown(): Op<void> {
    yield* all(this.allVms().map((vm) => vm.shutdown()));
  }

  *pause(): Op<void> {
    yield* all(this.allVms().map((vm) => vm.pause()));
  }

  *resume(): Op<void> {
    yield* all(this.allVms().map((vm) => vm.resume()));
  }

  private freshName(): string {
    for (;;) {
      const name = `__lab_${this.nameless++}`;
      if (!this.labs.has(name)) return name;
    }
  }
}
