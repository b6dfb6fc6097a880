/** `bun tests/golden/reports/generate.ts`: writes the stored stream and what every reporter makes of it. Read the diff! */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeFrame } from "../../../src/events/frame.ts";
import { CASES, replay } from "./replay.ts";
import { story } from "./story.ts";

const put = (name: string, content: string | Uint8Array): void =>
  writeFileSync(join(import.meta.dir, name), content);

put("story.events", Buffer.concat(story().map((event) => encodeFrame(event))));
for (const name of Object.keys(CASES)) put(name, replay(name, story()));
