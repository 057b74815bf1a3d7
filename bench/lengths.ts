/**
 * Measures the time and the peak memory of a training step over the length of its texts, beside
 * PyTorch, and draws both: `deno task bench:lengths`. Each length is measured in processes of its
 * own, on native code, with MiniLM's size and batches of 16.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeFileAtomically } from "../lib/files.ts";
import { type LengthMeasure, lengthPicture } from "./length_picture.ts";
import { machine } from "./machine.ts";
import { PeerProcess } from "./peers/peer_process.ts";
import { BATCH_SIZE, NO_PYTORCH, pytorchProgram } from "./peers/programs.ts";
import { median, type TrainBench } from "./train.ts";

const SIZE = "minilm";
const LENGTHS = [16, 64, 128, 256, 512];
const STEPS = 3;
const PICTURE = "docs/figures/lengths.svg";

const root = fileURLToPath(new URL("../", import.meta.url));
// At once, and not after minutes of measuring.
await Deno.mkdir(join(root, dirname(PICTURE)), { recursive: true });
const { threads, cpu } = machine(navigator.hardwareConcurrency);

async function measureGraft(length: number): Promise<LengthMeasure> {
  const options = { size: SIZE, "batch-size": BATCH_SIZE, length, steps: STEPS, device: "native" };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { success, stdout } = await new Deno.Command("deno", {
    args: ["task", "--quiet", "bench", "train", "--mode", "full", "--json", ...flags],
    cwd: root,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot measure ${length} tokens: the bench failed`);
  const { results }: TrainBench = JSON.parse(new TextDecoder().decode(stdout));
  const { step_ms, peak_resident_bytes } = results[0]!;
  return { length, stepMs: step_ms, peakBytes: peak_resident_bytes };
}

async function measurePytorch(length: number): Promise<LengthMeasure> {
  const program = pytorchProgram(SIZE, { length, tokens: length, steps: STEPS, threads });
  await using peer = await PeerProcess.start<number[]>(program);
  if (peer === undefined) throw new Error(`PyTorch is ${NO_PYTORCH}`);
  return { length, stepMs: median(await peer.round()), peakBytes: await peer.peakBytes() };
}

const series = [
  { name: "Graft", measure: measureGraft, results: [] as LengthMeasure[] },
  { name: "PyTorch", measure: measurePytorch, results: [] as LengthMeasure[] },
];
for (const length of LENGTHS) {
  for (const { name, measure, results } of series) {
    const result = await measure(length);
    results.push(result);
    const { stepMs, peakBytes } = result;
    console.log(`${name}, ${length} tokens: ${stepMs.toFixed(0)} ms, ${peakBytes / 1e6 | 0} MB`);
  }
}
const date = new Date().toISOString().slice(0, 10);
const title = `A training step of MiniLM's size, batch ${BATCH_SIZE}, native code: ${cpu}, ` +
  `${threads} threads, ${date}`;
await writeFileAtomically(join(root, PICTURE), lengthPicture(title, series));
console.log(`The picture is in ${PICTURE}`);
