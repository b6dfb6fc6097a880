/** Architectures of guests, by the names that uname(2) has for them. What QEMU has to know is in vmm/architecture.ts. */

export const ARCHITECTURES = ["x86_64", "aarch64"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** This host's own: the only one that KVM runs, and what a profile has that says nothing. */
export const HOST_ARCHITECTURE: Architecture = process.arch === "arm64" ? "aarch64" : "x86_64";

/** The serial port as the guest's kernel calls it. */
export const SERIAL_CONSOLE: Readonly<Record<Architecture, "ttyS0" | "ttyAMA0">> = {
  x86_64: "ttyS0",
  aarch64: "ttyAMA0",
};

/** How a machine of an architecture is accelerated on a host that has `available` for its own. */
export const accelerationOf = (architecture: Architecture, available: "kvm" | "tcg"): "kvm" | "tcg" =>
  architecture === HOST_ARCHITECTURE ? available : "tcg";
