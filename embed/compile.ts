/**
 * Makes the one executable: `bun embed/compile.ts OUTFILE`.
 *
 * Writes a module that registers everything to be embedded (with size and SHA-256, checked again at extraction) and
 * an entry that imports it before the program, and compiles them with bytecode. From the environment:
 *
 *   GUEST=none        leaves the default guest out
 *   GUEST_ARM64=1     adds agent and default guest for arm64 machines, on x86-64
 *   PROGRAMS=DIR      agent, wrapper and helper (build/agent)
 *   TARGET, RUNTIME   for another machine: Bun's name of it, and the Bun executable to put the program into
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");
const build = join(root, "build");
const outfile = resolve(process.argv[2] ?? join(root, "dist/provium"));
const programs = resolve(root, process.env.PROGRAMS ?? "build/agent");
const target = process.env.TARGET;
const generated = join(build, target === undefined ? "entry" : `entry-${target}`);

const GUEST_FILES = ["manifest", "vmlinux.zst", "initrd.cpio.zst", "modules.cpio.zst"];

const below = (directory: string, prefix: string): [string, string][] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item): [string, string] => {
      const path = join(item.parentPath, item.name);
      return [prefix + relative(directory, path), path];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));

/** Named as src/assets/guests.ts looks for them. */
const arm64Assets = (): [string, string][] => [
  ...["agent", "wrapper"].map((name): [string, string] => [
    `${name}-aarch64`,
    join(build, "agent-arm64", `provium-${name}`),
  ]),
  ...(process.env.GUEST === "none"
    ? []
    : GUEST_FILES.map((name): [string, string] => [
        `guest-aarch64/${name}`,
        join(build, "guest-aarch64", name),
      ])),
];

const assets: [string, string][] = [
  ...["agent", "wrapper", "helper"].map((name): [string, string] => [
    name,
    join(programs, `provium-${name}`),
  ]),
  ...(process.env.GUEST === "none"
    ? []
    : GUEST_FILES.map((name): [string, string] => [`guest/${name}`, join(build, "guest", name)])),
  ...(process.env.GUEST_ARM64 === "1" ? arm64Assets() : []),
  ...below(join(root, "embed/demo"), "demo/"),
  ...below(join(root, "embed/report"), "report/"),
];

const imports: string[] = [];
const rows: string[] = [];
for (const [index, [name, path]] of assets.entries()) {
  const sha256 = new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex");
  const size = statSync(path).size;
  imports.push(`import asset${index} from ${JSON.stringify(path)} with { type: "file" };`);
  rows.push(`  ${JSON.stringify(name)}: { path: asset${index}, sha256: "${sha256}", size: ${size} },`);
}

mkdirSync(generated, { recursive: true });
mkdirSync(dirname(outfile), { recursive: true });
const source = join(root, "src");
writeFileSync(
  join(generated, "embedded.ts"),
  [
    ...imports,
    `import { registerEmbedded } from ${JSON.stringify(join(source, "assets/embedded.ts"))};`,
    `registerEmbedded({\n${rows.join("\n")}\n});`,
    "",
  ].join("\n"),
);
const entry = join(generated, "main.ts");
writeFileSync(entry, `import "./embedded.ts";\nimport ${JSON.stringify(join(source, "main.ts"))};\n`);

// Appears under its name when it is whole; stacks show the name that it was compiled under.
const draft = join(generated, basename(outfile));
const bundler = Bun.spawnSync(
  [
    ...[process.execPath, "build", "--compile", "--minify", "--bytecode"],
    // What happens to lie in the directory where somebody runs provium is none of its business.
    ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
    // Where it was built is nobody's business either, and would make two builds of one commit differ.
    ...["--define", 'import.meta.dir="/provium/src/room"', "--define", '__dirname="/provium"'],
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...(process.env.RUNTIME === undefined ? [] : [`--compile-executable-path=${process.env.RUNTIME}`]),
    ...["--outfile", draft, entry],
  ],
  { cwd: root, stdout: "pipe", stderr: "pipe" },
);
if (bundler.exitCode !== 0) {
  console.error(bundler.stdout.toString() + bundler.stderr.toString());
  process.exit(1);
}
renameSync(draft, outfile);
console.log(`${relative(root, outfile)}: ${(statSync(outfile).size / 2 ** 20).toFixed(1)} MiB`);
