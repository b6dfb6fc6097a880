import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { runs } from "./runs.ts";

const HELPER = new URL("../../../build/agent/provium-helper", import.meta.url).pathname;

const run = (argv: readonly string[]) => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([HELPER, ...argv]);
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
};

describe("provium-helper exec", () => {
  test("the program gets its arguments, and its status is passed on", () => {
    expect(run(["exec", "--", "sh", "-c", 'echo "$@"; exit 7', "sh", "a b", "--parent"])).toEqual({
      exitCode: 7,
      stdout: "a b --parent\n",
      stderr: "",
    });
  });

  test("the program dies when its parent is killed", async () => {
    const script = `${HELPER} exec --parent $$ sleep 1000 & echo $!; wait`;
    const parent = Bun.spawn(["sh", "-c", script], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const pid = new TextDecoder().decode(value).trim();
    const named = (): boolean => readFileSync(`/proc/${pid}/comm`, "latin1") === "sleep\n";
    while (!named()) await new Promise((resolve) => setImmediate(resolve));
    parent.kill(9);
    await parent.exited;
    while (runs(pid)) await new Promise((resolve) => setImmediate(resolve));
    expect(runs(pid)).toBe(false);
  });

  test("with --ask the program is told of its parent's death and may end something first", async () => {
    const program = "trap 'echo told; exit' TERM; echo $$; while :; do sleep 0.01; done";
    const script = `${HELPER} exec --parent $$ --ask sh -c "$PROGRAM" & wait`;
    const env = { ...process.env, PROGRAM: program };
    const parent = Bun.spawn(["sh", "-c", script], { stdout: "pipe", env });
    let said = "";
    for await (const chunk of parent.stdout) {
      said += new TextDecoder().decode(chunk);
      if (/^\d+\n$/.test(said)) parent.kill(9);
    }
    expect(said).toEndWith("\ntold\n");
  });

  test("a parent that is not the one expected is noticed", () => {
    const { exitCode, stderr } = run(["exec", "--parent", "1", "--", "true"]);
    expect(exitCode).toBe(125);
    expect(stderr).toContain("has ended already");
  });

  test("blocked and ignored signals are not inherited", () => {
    const script = `trap '' TERM PIPE HUP; exec ${HELPER} exec grep -E 'SigBlk|SigIgn' /proc/self/status`;
    const { stdout } = Bun.spawnSync(["sh", "-c", script]);
    expect(stdout.toString()).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  test("with --batch the program runs under SCHED_BATCH", () => {
    // Field 41 of stat is the policy: 0 is SCHED_OTHER, 3 is SCHED_BATCH.
    const policy = (args: string[]) =>
      run(["exec", ...args, "--", "cat", "/proc/self/stat"])
        .stdout?.split(") ")[1]
        ?.split(" ")[38];
    expect(policy([])).toBe("0");
    expect(policy(["--batch"])).toBe("3");
  });

  test("--as takes users, groups and nothing else", () => {
    for (const text of [
      "",
      "1",
      "1:",
      ":1",
      "1:2,",
      "1:2,x",
      "-1:2",
      "1:4294967295",
      "99999999999:1",
      "nobody:1",
    ])
      expect([text, run(["exec", "--as", text, "--", "true"])]).toEqual([
        text,
        { exitCode: 125, stdout: "", stderr: "provium-helper exec: --as: Invalid argument\n" },
      ]);
    const many = Array.from({ length: 300 }, () => "1").join(",");
    expect(run(["exec", "--as", `1:${many}`, "--", "true"]).stderr).toContain("Invalid argument");
  });

  // Only root may become somebody else; everybody else is refused by the kernel.
  test("with --as the program is that user for good, or does not start", () => {
    const script = "id -u; id -g; id -G; grep -E '^(CapEff|CapPrm)' /proc/self/status";
    const { exitCode, stdout, stderr } = run(["exec", "--as", "12345:23456,3,4", "--", "sh", "-c", script]);
    if (process.geteuid?.() === 0)
      expect([exitCode, stdout]).toEqual([
        0,
        "12345\n23456\n23456 3 4\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n",
      ]);
    else expect([exitCode, stderr]).toEqual([125, "provium-helper exec: --as: Operation not permitted\n"]);
  });

  test("what cannot be executed is named", () => {
    expect(run(["exec", "no-such-program"])).toMatchObject({
      exitCode: 127,
      stderr: "provium-helper exec: no-such-program: No such file or directory\n",
    });
    expect(run(["exec", "/etc/passwd"]).exitCode).toBe(126);
    expect(run(["exec", "--parent", "x", "true"]).exitCode).toBe(125);
    expect(run(["exec"]).exitCode).toBe(125);
    expect(run([]).exitCode).toBe(2);
    expect(run(["dance"]).exitCode).toBe(2);
  });
});
