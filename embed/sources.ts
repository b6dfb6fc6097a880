/**
 * The source archive: the tree of HEAD and, below vendor/, everything that `make build OFFLINE=1` would else fetch:
 *
 *   vendor/bun/        npm packages of the Bun that builds, for x64 and arm64, glibc and musl
 *   vendor/npm/        packages inside the executable, as npm published them (patches/ are applied at build)
 *   vendor/guest/      Debian packages of the default guests
 *   vendor/cross/      Debian's musl for arm64
 *   vendor/man/        the man pages, whose renderer is not inside the executable
 */

import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { packageFile, root, runtimePackages } from "./lock.ts";
import { fetchPackage, run } from "./runtime.ts";

const BUILDERS = ["x64", "x64-musl", "aarch64", "aarch64-musl"].map(
  (machine) => `@oven/bun-linux-${machine}`,
);

/** Writes `NAME.tar.gz` whose members lie below `name/`. The same commit and packages give the same bytes. */
export const sourceArchive = (path: string, name: string): void => {
  const work = mkdtempSync(join(tmpdir(), "provium-sources-"));
  try {
    const tree = join(work, name);
    mkdirSync(tree);
    run(["sh", "-c", 'git archive --format=tar HEAD | tar -x -C "$1"', "sh", tree]);
    const into = (part: string): string => {
      const directory = join(tree, "vendor", part);
      mkdirSync(directory, { recursive: true });
      return directory;
    };
    const bun = into("bun");
    for (const builder of BUILDERS) fetchPackage(`${builder}@${manifest.devDependencies.bun}`, bun);
    const npm = into("npm");
    for (const item of runtimePackages()) {
      if (fetchPackage(`${item.name}@${item.version}`, npm, item.integrity) !== packageFile(item))
        throw new Error(`npm named the package file of ${item.name} otherwise than expected`);
    }
    const copies: readonly (readonly [from: string, part: string])[] = [
      ["build/guest/packages", "guest"],
      ["build/guest-aarch64/packages", "guest"],
      ["build/cross/arm64", "cross"],
      ["build/man", "man"],
    ];
    for (const [from, part] of copies) {
      const to = into(part);
      for (const item of readdirSync(join(root, from), { withFileTypes: true }))
        if (item.isFile() && (part === "man" || item.name.endsWith(".deb")))
          copyFileSync(join(root, from, item.name), join(to, item.name));
    }
    const time = run(["git", "log", "-1", "--format=@%ct"]).trim();
    run(
      [
        "sh",
        "-c",
        'tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="$3" --mode=go-w -cf - "$1" | gzip -9n >"$2"',
        "sh",
        name,
        path,
        time,
      ],
      { cwd: work },
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};
