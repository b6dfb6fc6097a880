/** The targets in TypeScript. */

import type { Target } from "../target.ts";
import { boot } from "./boot.ts";
import { dissector, pcap } from "./captures.ts";
import { consoles } from "./console.ts";
import { events } from "./events.ts";
import { flags } from "./flags.ts";
import { json } from "./json.ts";
import { ktap } from "./ktap.ts";
import { manifests } from "./manifests.ts";
import { qmp } from "./qmp.ts";
import { recording } from "./recording.ts";
import { reports } from "./reports.ts";
import { scanner } from "./scanner.ts";
import { services } from "./services.ts";
import { streams } from "./streams.ts";
import { text } from "./text.ts";
import { configuration } from "./toml.ts";
import { wire } from "./wire.ts";

export const TARGETS: readonly Target[] = [
  scanner,
  configuration,
  flags,
  pcap,
  dissector,
  recording,
  manifests,
  wire,
  services,
  ktap,
  json,
  consoles,
  streams,
  qmp,
  boot,
  reports,
  events,
  text,
];
