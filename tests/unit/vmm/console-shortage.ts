/** A client that comes while this process has no descriptor left; run with few of them. Prints `[looks, heard]`. */

import { AF_UNIX, closeFd, libc, SOCK_STREAM, writeSome } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { bytes, connect, Ear, LONG, machine } from "./console-clients.ts";

const { console, reactor, guest } = machine(process.argv[2] as string);
const fd = connect(console.socketPath());
const taken: number[] = [];
for (let next = 0; next >= 0; ) {
  next = libc.socket(AF_UNIX, SOCK_STREAM, 0);
  if (next >= 0) taken.push(next);
}
let looks = 0;
reactor.run(until(() => ++looks < 0, after(350)));
for (const each of taken) closeFd(each);
// What is said from its being let in on.
reactor.run(until(() => false, after(250)));
writeSome(guest, bytes("said\n"));
const ear = new Ear(fd, reactor);
reactor.run(until(() => ear.heard.length > 0, after(LONG)));
console.close();
process.stdout.write(JSON.stringify([looks, String(ear.heard)]));
