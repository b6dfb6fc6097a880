import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { routeCommand } from "../../../src/cli/route.ts";

let empty: string;
let withTest: string;

beforeAll(() => {
  empty = mkdtempSync(join(tmpdir(), "provium-test-"));
  withTest = mkdtempSync(join(tmpdir(), "provium-test-"));
  mkdirSync(join(withTest, "test"));
});
afterAll(() => {
  rmSync(empty, { recursive: true });
  rmSync(withTest, { recursive: true });
});

const route = (line: string, directory = empty) => routeCommand(line.split(" ").filter(Boolean), directory);

describe("commands", () => {
  test("paths and flags alone are a run in the lab form", () => {
    expect(route("")).toEqual({ command: "run", form: "lab", rest: [] });
    expect(route("tests -v")).toEqual({ command: "run", form: "lab", rest: ["tests", "-v"] });
  });

  test("`test` is the classic form wherever it stands among the flags", () => {
    expect(route("test tests")).toEqual({ command: "run", form: "classic", rest: ["tests"] });
    expect(route("--timeout 5s test tests")).toEqual({
      command: "run",
      form: "classic",
      rest: ["--timeout", "5s", "tests"],
    });
  });

  test("`test` alone is a path when ./test exists, and a command otherwise", () => {
    expect(route("test", withTest)).toEqual({ command: "run", form: "lab", rest: ["test"] });
    expect(route("test").form).toBe("classic");
    expect(route("test x", withTest).form).toBe("classic");
    expect(route("./test", withTest)).toEqual({ command: "run", form: "lab", rest: ["./test"] });
  });

  test("a word behind -- is no command", () => {
    for (const line of ["-- doctor", "-v -- test x", "-- help"])
      expect(route(line)).toEqual({ command: "run", form: "lab", rest: line.split(" ") });
    expect(route("test -- doctor")).toEqual({ command: "run", form: "classic", rest: ["--", "doctor"] });
  });

  test("the value of a flag is no command", () => {
    expect(route("--filter demo")).toEqual({ command: "run", form: "lab", rest: ["--filter", "demo"] });
  });

  test("the other commands keep their flags", () => {
    expect(route("demo -v")).toEqual({ command: "demo", form: "lab", rest: ["-v"] });
    expect(route("list --help").command).toBe("list");
    expect(route("doctor").command).toBe("doctor");
  });

  test("--help of a run is the help page, unless it is a path", () => {
    expect(route("tests --help").command).toBe("help");
    expect(route("-h").command).toBe("help");
    expect(route("-- --help").command).toBe("run");
  });
});
