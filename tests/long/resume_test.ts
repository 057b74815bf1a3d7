/**
 * Runs that are killed, stopped and resumed, as a person or a machine does it.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { join } from "node:path";
import { Random } from "../../lib/random.ts";
import { MAIN, TASK } from "../support/graft.ts";

/** The words that start a command which is killed: nothing is between it and the signal. */
const BARE = ["run", "--no-prompt", "--allow-read", "--allow-write", MAIN];
const TRAIN = [
  ...["--model", "scratch:tiny", "--max-train-samples", "320"],
  ...["--epochs", "2", "--threads", "1", "--device", "wasm"],
];

function spawnTrain(args: readonly string[], start: readonly string[] = TASK): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: [...start, "train", ...args],
    // Without the second, Mesa's driver complains on standard error.
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: Deno.cwd() },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function train(args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await spawnTrain(args).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** Waits until a run has a checkpoint of this step or a later one, or is over. */
async function untilCheckpoint(outDir: string, step: number, child: Deno.ChildProcess) {
  let isOver = false;
  void child.status.then(() => isOver = true);
  while (!isOver) {
    try {
      for await (const { name } of Deno.readDir(join(outDir, "checkpoints"))) {
        if (Number(/^checkpoint-(\d+)$/.exec(name)?.[1]) >= step) return;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("train --resume ends with the same bytes, whenever the run was killed", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [whole, killed] = [join(dir, "whole"), join(dir, "killed")];
    deepStrictEqual((await train([...TRAIN, "--out", whole])).code, 0);

    // With a checkpoint each step, most moments are within one.
    const random = new Random(11);
    let args = [...TRAIN, "--save-steps", "1", "--out", killed];
    for (const step of [0, 3, 12, 19, 20, 31, 39]) {
      const child = spawnTrain(args, BARE);
      const output = child.output();
      if (step > 0) await untilCheckpoint(killed, step, child);
      else await new Promise((resolve) => setTimeout(resolve, 1200));
      await new Promise((resolve) => setTimeout(resolve, random.integer(60)));
      try {
        child.kill("SIGKILL");
      } catch {
        // It has just finished.
      }
      await output;
      const isRun = await Deno.stat(join(killed, "training_args.json")).then(
        () => true,
        () => false,
      );
      if (isRun) args = ["--resume", "--out", killed];
    }
    const { code, stderr } = await train(args);
    // The last of the kills may have come too late.
    if (code !== 0) match(stderr, /it is finished/);
    const weights = (run: string) => Deno.readFile(join(run, "model.safetensors"));
    const [expected, actual] = [await weights(whole), await weights(killed)];
    ok(expected.length === actual.length && expected.every((byte, i) => byte === actual[i]));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("train ends well on Ctrl-C, which comes twice, and says how to go on", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const out = join(dir, "run");
    const child = spawnTrain([...TRAIN, "--save-steps", "1", "--out", out]);
    const output = child.output();
    await untilCheckpoint(out, 2, child);
    child.kill("SIGINT");
    child.kill("SIGINT");
    const { code, stderr } = await output;
    deepStrictEqual(code, 130);
    match(
      new TextDecoder().decode(stderr),
      /Stopped after step \d+; '.*run' holds all that is needed to go on:\n {2}deno task --quiet train --resume --out .*run\n$/,
    );
    const again = await train(["--resume", "--out", out, "--seed", "12"]);
    deepStrictEqual(again.code, 1);
    match(
      again.stderr,
      /^error: Cannot resume '.*run' with other settings: seed is 11 there, not 12\n$/,
    );
    deepStrictEqual((await train(["--resume", "--out", out])).code, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
