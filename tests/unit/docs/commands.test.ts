/** What the pages on CI systems and clusters show: texts that parse, flags that exist, a manifest within its schema. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Job } from "kubernetes-models/batch/v1/Job";
import { readArguments } from "../../../src/cli/arguments.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "../../../src/cli/flags.ts";
import { LOADERS } from "../../../src/cli/loaders.ts";
import { routeCommand } from "../../../src/cli/route.ts";

const page = (name: string): string => readFileSync(resolve(import.meta.dir, "../../../docs", name), "utf8");

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    (match) => match[1] as string,
  );

for (const name of ["ci.md", "scale.md"])
  test(`every YAML text of docs/${name} parses`, () => {
    const found = blocks(page(name), "yaml");
    expect(found.length).toBeGreaterThan(0);
    for (const text of found) expect(() => Bun.YAML.parse(text)).not.toThrow();
  });

/** Command lines of ours in a text, with the variables of shells and CI systems filled in. */
const commandLines = (text: string): string[] =>
  text
    .replaceAll("\\\n", " ")
    .split("\n")
    .flatMap(
      (line) =>
        /(?:^|[\s'"])(?:\.\/|exec )?provium ((?:tests|merge|list|prepare|fixture)\b.*)$/.exec(line)?.[1] ??
        [],
    )
    .map((line) => line.replace(/\s(?:#|\|\||&&|\|).*$/, "").replace(/['"]+$/, ""))
    .map((line) => line.replaceAll(/\$\{\{[^}]*\}\}|\$\$?\w+|"\$\w+"|\$\{\w+\}/g, "1"));

for (const name of ["ci.md", "scale.md"])
  test(`every command line of docs/${name} has flags that exist`, async () => {
    const lines = commandLines(page(name));
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) {
      const words = line.split(/\s+/).map((word) => word.replaceAll('"', ""));
      const { command, rest } = routeCommand(words, "/nonexistent");
      const flags =
        command === "run" || command === "help"
          ? { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS }
          : (await LOADERS[command as keyof typeof LOADERS]()).flags;
      expect(() => readArguments(rest, flags)).not.toThrow();
    }
  });

test("the workflow for GitHub runs every part and joins them all", () => {
  const [workflow] = blocks(page("ci.md"), "yaml") as [string];
  const { jobs } = Bun.YAML.parse(workflow) as {
    jobs: Record<
      string,
      { strategy?: { matrix: { shard: number[] } }; steps: { run?: string }[]; needs?: string }
    >;
  };
  const parts = jobs.provium?.strategy?.matrix.shard ?? [];
  expect(parts).toEqual(parts.map((_, i) => i + 1));
  const run = jobs.provium?.steps.find(({ run: text }) => text?.includes("--shard"))?.run;
  expect(run).toContain(`/${parts.length} `);
  expect(jobs.report?.needs).toBe("provium");
  expect(jobs.report?.steps.some(({ run: text }) => text?.includes("provium merge"))).toBe(true);
});

test("the manifest for Kubernetes is within the schema of its API, and says the number of pods twice alike", () => {
  const [manifest] = blocks(page("scale.md"), "yaml") as [string];
  const job = new Job(Bun.YAML.parse(manifest) as ConstructorParameters<typeof Job>[0]);
  expect(() => job.validate()).not.toThrow();
  expect(job.spec?.completionMode).toBe("Indexed");
  const [container] = job.spec?.template.spec?.containers ?? [];
  const told = container?.env?.find(({ name }) => name === "JOB_COMPLETIONS")?.value;
  expect(told).toBe(String(job.spec?.completions));
});

test("the schema of Kubernetes refuses a manifest that is wrong", () => {
  const wrong = { apiVersion: "batch/v1", kind: "Job", spec: { completions: "8", template: {} } };
  expect(() => new Job(wrong as never).validate()).toThrow();
});
