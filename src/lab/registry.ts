/**
 * What a scope has opened and must close: walked in reverse dependency order when the scope ends.
 *
 * Streams go before the processes they read, processes before the VM they run in, VMs before disks: only a disk
 * whose VM belongs to a longer scope is unplugged. Inside one class the order
 * is that of registration. A release that fails is reported and does not stop the others.
 */

import { ProviumError } from "../errors/errors.ts";
import { all, type Op } from "../sys/op.ts";

/** The classes in the order in which they are closed. */
export const CLOSING_ORDER = ["task", "stream", "process", "file", "worker", "bridge", "vm", "disk"] as const;
export type ResourceKind = (typeof CLOSING_ORDER)[number];

export interface Resource {
  readonly kind: ResourceKind;
  /** For messages: "process `sleep 10` of vm `a`". */
  readonly label: string;
  /** Releases it. Called once; whoever closes earlier removes it from the registry. */
  close(): Op<void>;
}

export class Registry {
  private readonly open = new Set<Resource>();

  add<R extends Resource>(resource: R): R {
    this.open.add(resource);
    return resource;
  }

  /** The resource was closed by its owner. */
  remove(resource: Resource): void {
    this.open.delete(resource);
  }

  get size(): number {
    return this.open.size;
  }

  /** Those of one class, in order of registration. */
  of(kind: ResourceKind): readonly Resource[] {
    return [...this.open].filter((resource) => resource.kind === kind);
  }

  /**
   * Closes everything, also what is opened meanwhile: one after another, VMs side by side, since each takes its
   * time to power off. The errors of failed releases, each naming its resource.
   */
  *close(): Op<readonly Error[]> {
    const failures: Error[] = [];
    for (let due = this.due(); due.length > 0; due = this.due()) {
      for (const resource of due) this.open.delete(resource);
      yield* all(due.map((resource) => closing(resource, failures)));
    }
    return failures;
  }

  private due(): readonly Resource[] {
    for (const kind of CLOSING_ORDER) {
      const open = this.of(kind);
      if (open.length > 0) return kind === "vm" ? open : open.slice(0, 1);
    }
    return [];
  }
}

function* closing(resource: Resource, failures: Error[]): Op<void> {
  try {
    yield* resource.close();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    failures.push(new ProviumError(`closing ${resource.label}: ${text}`, { cause }));
  }
}
