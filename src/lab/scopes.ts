/**
 * The scopes of one test file: the file itself, which lasts to its end, and the test that runs now. Each has a
 * lab of its own and a registry of what it must close.
 */

import type { Profile } from "../config/schema.ts";
import { ApiError } from "../errors/errors.ts";
import { nearest } from "../errors/suggest.ts";
import type { ResourceAmount } from "../events/types.ts";
import { all, type Op } from "../sys/op.ts";
import type { Bridge } from "./bridge.ts";
import type { VmHost } from "./host.ts";
import { Lab } from "./lab.ts";
import type { SavedNic } from "./link.ts";
import { Network } from "./network.ts";
import type { NetworkHost } from "./network-host.ts";
import type { BootOptions, OptionTable } from "./options.ts";
import type { Flavour } from "./quantities.ts";
import { Registry, type Resource, type ResourceKind } from "./registry.ts";
import type { SavedBridge } from "./saved-bridge.ts";
import { Vm } from "./vm.ts";

export const ROOT_LAB = "provium";

export interface Scope {
  readonly lab: Lab;
  readonly registry: Registry;
  /** The name of its test; undefined for the file's own. */
  readonly test?: string;
}

export class Scopes {
  readonly file: Scope = { lab: new Lab(ROOT_LAB), registry: new Registry() };
  /** The running test, and above it those that it runs inside (a classic file may nest tests). */
  private readonly tests: Scope[] = [];
  private readonly perProfile = new Map<string, number>();
  private readonly everyVm = new Set<Vm>();
  readonly network: Network;
  /** The file has made its claim, and has it or waits for it. */
  private claiming = false;
  private claimed: ResourceAmount | undefined;

  constructor(
    private readonly host: VmHost,
    private readonly profiles: Readonly<Record<string, Profile>>,
    network: Pick<NetworkHost, "openBackend" | "openUplink" | "openDhcp">,
  ) {
    this.network = new Network({ ...network, emit: host.emit, file: host.file });
  }

  /** The test file as people know it. */
  get path(): string {
    return this.host.file;
  }

  /** The scope of the running test body, else the file's. */
  get current(): Scope {
    return this.tests.at(-1) ?? this.file;
  }

  /** Where what a handle opens is registered: a classic handle belongs to the file, a lab handle to the running test. */
  scopeOf(flavour: Flavour): Scope {
    return flavour === "classic" ? this.file : this.current;
  }

  /** The profile of that name. Throws ApiError naming the known ones. */
  profile(name: string): Profile {
    const profile = Object.hasOwn(this.profiles, name) ? this.profiles[name] : undefined;
    if (profile !== undefined) return profile;
    const known = Object.keys(this.profiles);
    const near = nearest(name, known);
    throw new ApiError(`unknown profile \`${name}\` (known: ${known.join(", ") || "none"})`, {
      hint: `${near === undefined ? "" : `Did you mean "${near}"? `}Profiles are declared in provium.toml as [profiles.NAME].`,
    });
  }

  /** A VM of the lab API: named, member of `lab`, ends with the scope that runs now. */
  createVm(lab: Lab, name: string, profileName: string, options: BootOptions): Vm {
    lab.checkVmName(name);
    const vm = this.newVm(name, this.profile(profileName), options, "shutdown", lab.prefix);
    lab.addVm(vm);
    this.own(vm, this.current);
    this.network.created(vm, lab.allBridges());
    return vm;
  }

  private newVm(
    name: string,
    profile: Profile,
    options: BootOptions,
    leftover: "shutdown" | "kill",
    prefix = "",
  ): Vm {
    const relink = (nics: readonly SavedNic[]): Op<void> => this.network.relink(vm, nics);
    const vm: Vm = new Vm(name, profile, options, this.host, leftover, relink, prefix + name);
    return vm;
  }

  /** A bridge of a saved lab; else as `createBridge`. */
  createSavedBridge(lab: Lab, saved: SavedBridge): Bridge {
    lab.checkBridgeName(saved.name);
    const bridge = this.network.createSavedBridge(saved);
    lab.addBridge(bridge);
    this.current.registry.add(bridge);
    return bridge;
  }

  /** A bridge, member of `lab`, that ends with the scope that runs now. */
  createBridge(lab: Lab, name: string, options: OptionTable | undefined): Bridge {
    lab.checkBridgeName(name);
    const bridge = this.network.createBridge(name, options);
    lab.addBridge(bridge);
    this.current.registry.add(bridge);
    return bridge;
  }

  /** Ends a bridge before its scope does. */
  *closeBridge(bridge: Bridge): Op<void> {
    this.forgetBridge(bridge);
    yield* bridge.close();
  }

  /** A VM of the classic API: named after its profile (`minimal-1`), in no lab, lasts as long as the file. */
  createClassicVm(profileName: string, options: BootOptions = {}): Vm {
    const profile = this.profile(profileName);
    const n = (this.perProfile.get(profileName) ?? 0) + 1;
    this.perProfile.set(profileName, n);
    const vm = this.newVm(`${profileName}-${n}`, profile, options, "kill");
    this.own(vm, this.file);
    return vm;
  }

  /** Every VM that the file holds now, of both APIs and all scopes. */
  vms(): readonly Vm[] {
    return [...this.everyVm];
  }

  /** What is open of one class, in all scopes. */
  open(kind: ResourceKind): readonly Resource[] {
    return [this.file, ...this.tests].flatMap(({ registry }) => registry.of(kind));
  }

  *shutdownAll(): Op<void> {
    yield* all(this.vms().map((vm) => vm.shutdown()));
  }

  /** Takes the one claim of the file, once the pool has it, and says so. */
  *claim(memoryBytes: number, cpus: number): Op<void> {
    if (this.claiming)
      throw new ApiError("claim already taken", {
        hint: "A file states what it needs once, at its beginning.",
      });
    this.claiming = true;
    try {
      yield* this.host.services.claim(memoryBytes, cpus);
    } catch (error) {
      this.claiming = false;
      throw error;
    }
    this.claimed = { memory_bytes: memoryBytes, cpus };
    this.host.emit("claim_acquired", { path: this.host.file, amount: this.claimed });
  }

  enterTest(name: string): void {
    this.tests.push({ lab: new Lab(ROOT_LAB, this.current.lab), registry: new Registry(), test: name });
  }

  /** Ends the innermost test's scope and closes what it holds; the errors of failed releases. */
  *leaveTest(): Op<readonly Error[]> {
    const scope = this.tests.at(-1);
    if (scope === undefined) return [];
    try {
      return yield* this.closeScope(scope);
    } finally {
      this.tests.pop();
    }
  }

  /** Closes whatever is left of the file. */
  *closeFile(): Op<readonly Error[]> {
    const failures: Error[] = [];
    while (this.tests.length > 0) failures.push(...(yield* this.leaveTest()));
    failures.push(...(yield* this.closeScope(this.file)));
    this.network.close();
    if (this.claimed !== undefined)
      this.host.emit("claim_released", { path: this.host.file, amount: this.claimed });
    this.claimed = undefined;
    return failures;
  }

  /** Ends every machine at once. */
  killAll(): void {
    for (const vm of this.everyVm) vm.kill();
    this.network.close();
  }

  /** Undoes the creation of a VM that has come to nothing and is on no bridge. */
  discard(vm: Vm): void {
    vm.release();
    this.everyVm.delete(vm);
    for (const { lab, registry } of [this.file, ...this.tests]) {
      lab.forget(vm);
      registry.remove(vm);
    }
  }

  private forgetBridge(bridge: Bridge): void {
    for (const { lab, registry } of [this.file, ...this.tests]) {
      lab.forgetBridge(bridge);
      registry.remove(bridge);
    }
  }

  private own(vm: Vm, scope: Scope): void {
    this.everyVm.add(vm);
    scope.registry.add(vm);
  }

  private *closeScope(scope: Scope): Op<readonly Error[]> {
    const vms = scope.registry.of("vm") as readonly Vm[];
    const bridges = scope.registry.of("bridge") as readonly Bridge[];
    for (const vm of vms) this.network.leaving.add(vm);
    const failures = [...(yield* scope.registry.close()), ...(yield* this.network.forget(vms))];
    for (const bridge of bridges) this.forgetBridge(bridge);
    for (const vm of vms) {
      this.network.leaving.delete(vm);
      this.everyVm.delete(vm);
      vm.release();
      for (const { lab } of [this.file, ...this.tests]) lab.forget(vm);
    }
    return failures;
  }
}
