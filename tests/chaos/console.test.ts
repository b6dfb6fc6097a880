/** A program outside of the test on the console of a machine: `vm:console_socket_path()`. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, outcome, Project } from "./run.ts";

const FILE = `
local vm = provium:vm("a", "default"):boot()
test("somebody answers", function(t)
  local asks = vm:run_async("printf 'what? ' > /dev/console; read word < /dev/console; echo heard $word > /dev/console")
  local path = vm:console_socket_path()
  t:assert_eq(vm:console_socket_path(), path)
  local file = assert(io.open("path", "w"))
  file:write(path)
  file:close()
  vm:console():expect("heard hello", 120)
  asks:wait(60)
end)
test("a machine that is over has no socket", function(t)
  vm:shutdown()
  local err = t:assert_raises(function() vm:console_socket_path() end)
  t:assert_contains(err, "vm \`a\` is shutdown; console_socket_path needs booted or paused")
end)
`;

test("a program types into the console of a machine, hears it, and is let go with the machine", async () => {
  using project = new Project({ "a.test.lua": FILE });
  const run = outcome(project.start(["a.test.lua"]));
  const place = join(project.directory, "path");
  const written = () => existsSync(place) && readFileSync(place, "utf8") !== "";
  await eventually("the path of the socket", written, 200_000);
  let heard = "";
  const over = Promise.withResolvers<void>();
  await Bun.connect({
    unix: readFileSync(place, "utf8"),
    socket: {
      open: (socket) => void socket.write("hello\n"),
      data: (_, bytes) => {
        heard += bytes.toString();
      },
      close: () => over.resolve(),
    },
  });
  await over.promise;
  const { code, text } = await run;
  expect([code, text]).toEqual([0, expect.stringContaining("2 passed, 0 failed")]);
  expect(heard).toContain("heard hello");
  expect(project.processes()).toEqual([]);
}, 300_000);
