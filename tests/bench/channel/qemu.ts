/**
 * The channel's figures in a virtual machine: the agent on its port, and peer.c on the port of a second
 * virtio-serial device. Needs `make build` before.
 */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DEFAULT_GUEST_CMDLINE,
  DEFAULT_GUEST_INIT,
  installDefaultGuest,
} from "../../../src/boot/default-guest.ts";
import { BootService } from "../../../src/boot/service.ts";
import type { Channel } from "../../../src/channel/channel.ts";
import { openLocal } from "../../../src/channel/local.ts";
import { SEND_BUFFER_BYTES } from "../../../src/channel/stream.ts";
import { openGuest } from "../../../src/guest/session.ts";
import { AF_UNIX, check, libc, ptr, SOCK_CLOEXEC, SOCK_STREAM } from "../../../src/sys/libc.ts";
import { after } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { QemuVmm } from "../../../src/vmm/qemu.ts";
import { compilePeer, compileTrivial } from "./compile.ts";
import { type Figure, measure } from "./measure.ts";

const BUILD = join(import.meta.dir, "../../../build");
const PEER_PORT = "bench.peer";
const BOOT_MS = 120_000;

const connectUnix = (reactor: Reactor, path: string): Channel => {
  const fd = check("socket", libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  // As the agent's port has it; QEMU's end of this socket keeps the kernel's default.
  const size = Int32Array.of(SEND_BUFFER_BYTES);
  check("setsockopt", libc.setsockopt(fd, 1, 7, ptr(size), size.byteLength));
  check("connect", libc.connect(fd, address, address.byteLength));
  return openLocal(reactor, fd);
};

/** Boots the default guest in `directory` and measures. */
export const measureQemu = async (
  directory: string,
  calls: number,
  accel: "kvm" | "tcg",
): Promise<readonly Figure[]> => {
  const part = (name: string): Uint8Array => readFileSync(join(BUILD, "guest", name));
  const guestFiles = installDefaultGuest(
    {
      vmlinux: part("vmlinux.zst"),
      initrd: part("initrd.cpio.zst"),
      modules: part("modules.cpio.zst"),
      manifest: readFileSync(join(BUILD, "guest/manifest"), "utf8"),
    },
    directory,
  );
  const boot = new BootService({
    cacheDir: join(directory, "cache"),
    programs: () => ({
      agent: readFileSync(join(BUILD, "agent/provium-agent")),
      wrapper: readFileSync(join(BUILD, "agent/provium-wrapper")),
    }),
    helper: join(BUILD, "agent/provium-helper"),
    flagsFault: () => false,
    virtiofsd: () => false,
  });
  const plan = await boot.plan(
    {
      name: "default",
      origin: "embedded",
      architecture: "x86_64",
      kernel: guestFiles.kernel,
      initrd: guestFiles.initrd,
      cmdline: DEFAULT_GUEST_CMDLINE,
      init: DEFAULT_GUEST_INIT,
      modules: guestFiles.modules,
      injectAgent: true,
      mountPseudoFs: true,
    },
    { transport: "serial", disks: false, accel },
  );
  const reactor = new Reactor();
  const socket = join(directory, "peer.sock");
  mkdirSync(join(directory, "vm"));
  const vmm = new QemuVmm({ reactor, env: process.env, helper: join(BUILD, "agent/provium-helper") });
  const deadline = after(BOOT_MS);
  const machine = reactor.run(
    vmm.launch(
      {
        name: "bench",
        architecture: "x86_64",
        memoryBytes: 1024 * 1024 * 1024,
        cpus: Number(process.env.CPUS ?? 1),
        kernel: plan.kernel,
        initrd: plan.initrd,
        cmdline: `${DEFAULT_GUEST_CMDLINE} ${plan.cmdline} console=hvc0 console=ttyS0`,
        disks: [],
        qemuArgs: [
          ...["-chardev", `socket,id=peer,path=${socket},server=on,wait=off`],
          ...["-device", "virtio-serial-pci,id=bench,disable-legacy=on,max_ports=2,ioeventfd=off"],
          ...["-device", `virtserialport,bus=bench.0,nr=1,chardev=peer,name=${PEER_PORT}`],
        ],
        accel,
        transport: "serial",
        directory: join(directory, "vm"),
      },
      deadline,
    ),
  );
  try {
    const guest = reactor.run(openGuest(reactor.run(machine.connect(deadline)), deadline));
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    reactor.run(guest.main.pushFile(compilePeer(directory), text("/bench-peer"), 0o755));
    reactor.run(guest.main.pushFile(compileTrivial(directory), text("/bench-true"), 0o755));
    const peer = connectUnix(reactor, socket);
    reactor.run(
      guest.main.start({
        argv: [text("/bench-peer"), text("--port"), text(PEER_PORT)],
        env: [],
        envClear: false,
        stdinOpen: false,
        timeoutMs: 0,
      }),
    );
    const figures = measure({
      reactor,
      guest,
      peer,
      trivial: "/bench-true",
      file: "/bench-file",
      calls,
      megabytes: 256,
      rounds: 3,
    });
    guest.close();
    return figures;
  } finally {
    machine.close();
  }
};
