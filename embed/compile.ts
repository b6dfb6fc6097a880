/**
 * Makes the one executable: `bun embed/compile.ts OUTFILE`.
 *
 * Writes a module that registers everything to be embedded (with size and SHA-256, checked again at extraction) and
 * an entry that imports it before the program, and compiles them with bytecode. From the environment:
 *
 *   GUEST=none        leaves the default guest out
 *   FOREIGN=PARTS     what it carries for guests of the other architecture: none (default), agent, or guest (both)
 *   TARGET, RUNTIME   for another machine: Bun's name of it, and the Bun executable to put the program into
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { type Architecture, HOST_ARCHITECTURE } from "../src/sys/architecture.ts";

const root = resolve(import.meta.dir, "..");
const build = join(root, "build");
const outfile = resolve(process.argv[2] ?? join(root, "dist/provium"));
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

/** Where the build of this machine leaves what is for guests of an architecture. */
const rooms = (architecture: Architecture): { readonly programs: string; readonly guest: string } =>
  architecture === HOST_ARCHITECTURE
    ? { programs: join(build, "agent"), guest: join(build, "guest") }
    : { programs: join(build, FOREIGN_PROGRAMS[architecture]), guest: join(build, `guest-${architecture}`) };

const FOREIGN_PROGRAMS: Readonly<Record<Architecture, string>> = {
  aarch64: "agent-arm64",
  x86_64: "agent-x64",
};

/** `suffix`: how src/assets/guests.ts tells those of the other architecture. */
const guestAssets = (
  architecture: Architecture,
  parts: { readonly agent: boolean; readonly guest: boolean },
  suffix = "",
): [string, string][] => {
  const { programs, guest } = rooms(architecture);
  const agent = ["agent", "wrapper"].map((name): [string, string] => [
    `${name}${suffix}`,
    join(programs, `provium-${name}`),
  ]);
  const files = GUEST_FILES.map((name): [string, string] => [`guest${suffix}/${name}`, join(guest, name)]);
  return [...(parts.agent ? agent : []), ...(parts.guest ? files : [])];
};

/** That of the executable. */
const own: Architecture =
  target === undefined ? HOST_ARCHITECTURE : target.includes("arm64") ? "aarch64" : "x86_64";
const other: Architecture = own === "aarch64" ? "x86_64" : "aarch64";
const withGuest = process.env.GUEST !== "none";
const foreign = process.env.FOREIGN ?? "none";

const assets: [string, string][] = [
  ["helper", join(rooms(own).programs, "provium-helper")],
  ...guestAssets(own, { agent: true, guest: withGuest }),
  ...guestAssets(other, { agent: foreign !== "none", guest: foreign === "guest" && withGuest }, `-${other}`),
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
