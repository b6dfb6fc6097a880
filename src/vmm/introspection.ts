/** Asks a QEMU what it can do, over its monitor: it is started once, without a machine, which takes a tenth of a second. */

import { after, type Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import type { Board } from "./architecture.ts";
import type { Capabilities } from "./capabilities.ts";
import { Enquiry, type EnquiryHost } from "./enquiry.ts";
import { ACPI_PLUG } from "./plug.ts";
import type { Json, JsonObject, Qmp } from "./qmp.ts";

/** For each answer, on a busy host. */
const ASK_MS = 20_000;

const objects = (answer: Json): JsonObject[] => (Array.isArray(answer) ? (answer as JsonObject[]) : []);
const names = (answer: Json, key = "name"): Set<Json | undefined> =>
  new Set(objects(answer).map((one) => one[key]));

/** Throws HostError where `program` cannot be started or does not answer. */
export function* askCapabilities(
  program: string,
  board: Board,
  host: EnquiryHost,
  reactor: Reactor,
): Op<Capabilities> {
  const enquiry = Enquiry.start(program, ["-machine", "none"], host, reactor);
  try {
    const { qmp } = enquiry;
    yield* qmp.open(after(ASK_MS));
    const options = names(yield* ask(qmp, "query-command-line-options"), "option");
    const commands = names(yield* ask(qmp, "query-commands"));
    const known = yield* boardOptions(qmp, board);
    return {
      sandbox: options.has("sandbox"),
      actions: options.has("action"),
      reopen: commands.has("blockdev-reopen"),
      acpiPlug: !board.acpi || (yield* hasAcpiPlug(qmp)),
      unknownOptions: board.options.filter((name) => !known.has(name)),
    };
  } finally {
    enquiry.close();
  }
}

function* ask(qmp: Qmp, command: string, args?: JsonObject): Op<Json> {
  return yield* qmp.execute(command, args, after(ASK_MS));
}

/** Options of `-machine`, which are the properties of the board's type. */
function* boardOptions(qmp: Qmp, { type }: Board): Op<Set<Json | undefined>> {
  const machines = objects(yield* ask(qmp, "query-machines"));
  const name = machines.find(({ alias }) => alias === type)?.name ?? type;
  return names(yield* ask(qmp, "qom-list-properties", { typename: `${name}-machine` }));
}

function* hasAcpiPlug(qmp: Qmp): Op<boolean> {
  const properties = yield* ask(qmp, "device-list-properties", { typename: ACPI_PLUG.device });
  return names(properties).has(ACPI_PLUG.property);
}
