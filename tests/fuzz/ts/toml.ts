/** Configuration files of any kind: a `Config`, or a `ConfigError`, and nothing else. */

import { parseConfig } from "../../../src/config/load.ts";
import { ConfigError } from "../../../src/errors/errors.ts";
import { must, type Target } from "../target.ts";

export const configuration: Target = {
  name: "toml",
  source: import.meta.file,
  seeds: [
    `[provium]\nroots = ["tests"]\ncache_max_size = "20GiB"\ntimeout = "5m"\njobs = 2\naccel = "tcg"\n`,
    `[profiles.mine]\nkernel = "bzImage"\ninitrd = "initrd"\ncmdline = "quiet rdinit=/sbin/init"\nmemory = "1G"\ncpus = 2\nmodules = "none"\nqemu_args = ["-s"]\n`,
    `[profiles."my guest"]\nkernel = "embedded"\nmount_pseudo_fs = false\ninject_agent = true\n[provium]\nnetwork = "user"\ncpu_pressure = 50.5\n`,
    `a = """\n[provium]\nroots = 1 """\n'b' = '''x'''\n[[profiles]]\nd = 1979-05-27T07:32:00Z\n`,
  ],
  words: [
    ...[
      "[provium]",
      "[profiles",
      "[[",
      "]]",
      '"""',
      "'''",
      "=",
      "roots",
      "kernel",
      "cmdline",
      "memory",
      "cpus",
    ],
    ...[
      "__proto__",
      "constructor",
      "prototype",
      ".",
      "true",
      "nan",
      "inf",
      "-inf",
      "0x",
      "1e999",
      "9999999999999999999",
    ],
    ...[
      "1979-05-27",
      "\\u0000",
      "\\UFFFFFFFF",
      "\n",
      "\r\n",
      "{",
      "}",
      "embedded",
      "rdinit=",
      "modules",
      "disk",
    ],
  ],
  run: (input) => {
    try {
      const config = parseConfig("/project/provium.toml", new TextDecoder().decode(input), {
        HOME: "/home/me",
      });
      for (const [name, profile] of Object.entries(config.profiles))
        must(profile.name === name, "a profile has its own name");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      must(error.message !== "", "an error says something");
    }
    must(!Object.hasOwn(Object.prototype, "kernel"), "nothing reaches the prototype of all objects");
  },
};
