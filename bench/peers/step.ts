/**
 * A step of training, compared with the rate of matrix products, PyTorch and TensorFlow.js.
 *
 * @module
 */
import { Executor } from "../../onnx/runtime/executor.ts";
import {
  type BENCH_SIZES,
  benchConfig,
  benchTrain,
  median,
  nominalStepFlops,
  referenceProductGflops,
} from "../train.ts";
import { type Comparison, count } from "./comparison.ts";
import { figureOf, inTurn, type Measured, type PeerBenchOptions } from "./part.ts";
import { PeerProcess } from "./peer_process.ts";
import { BATCH_SIZE, denoProgram, NO_PACKAGES, NO_PYTORCH, pytorchProgram } from "./programs.ts";

type Size = keyof typeof BENCH_SIZES;

/** Tokens of a text. */
const LENGTH = 16;
const NATIVE_TARGETS = [
  { size: "minilm", name: "MiniLM size", share: 0.7, pytorch: 1.2 },
  { size: "base", name: "BERT-base", share: 0.75, pytorch: 1.05 },
] as const;

/** Compares steps in native code. */
export async function compareNativeSteps(options: PeerBenchOptions): Promise<Measured> {
  const { rounds, steps, threads } = options;
  await using executor = await Executor.start({ device: "native", threads });
  const versions: Record<string, string> = { onnxruntime: executor.onnxruntimeVersion };
  const comparisons: Comparison[] = [];
  for (const { size, name, share, pytorch } of NATIVE_TARGETS) {
    await using peer = await PeerProcess.start<number[]>(
      pytorchProgram(size, { length: LENGTH, tokens: LENGTH, steps, threads }),
    );
    Object.assign(versions, peer?.versions);
    const measured = await inTurn(rounds, {
      stepMs: () => stepMs(executor, size, steps),
      gflops: () => referenceProductGflops(executor),
      pytorchMs: () => medianStep(peer),
    });
    comparisons.push(
      shareOfProducts({ ...measured, name, size, target: share }),
      {
        what: `${name}, a step`,
        unit: "ms",
        graft: median(measured.stepMs),
        peer: "PyTorch",
        peer_figure: figureOf(measured.pytorchMs, NO_PYTORCH),
        target: pytorch,
      },
    );
  }
  return {
    versions,
    comparisons,
    note: `${HOW_STEPS_ARE_TIMED} ${medians(rounds, steps)} PyTorch runs transformers' ` +
      "`BertForSequenceClassification` with fused attention and AdamW.",
  };
}

/** Compares steps in WebAssembly. */
export async function compareWasmSteps(options: PeerBenchOptions): Promise<Measured> {
  const { rounds, steps, threads } = options;
  await using executor = await Executor.start({ device: "wasm", threads });
  await using peer = await PeerProcess.start<number[]>(
    denoProgram("tfjs_step.ts", ["--allow-read"], ["minilm", BATCH_SIZE, LENGTH, 1]),
  );
  const measured = await inTurn(rounds, {
    stepMs: () => stepMs(executor, "minilm", steps),
    gflops: () => referenceProductGflops(executor),
    tfjsMs: () => medianStep(peer),
  });
  return {
    versions: { onnxruntime: executor.onnxruntimeVersion, ...peer?.versions },
    comparisons: [
      shareOfProducts({ ...measured, name: "MiniLM size", size: "minilm", target: 0.65 }),
      {
        what: "MiniLM size, a step",
        unit: "ms",
        graft: median(measured.stepMs),
        peer: "TensorFlow.js",
        peer_figure: figureOf(measured.tfjsMs, NO_PACKAGES),
        target: 15,
      },
    ],
    note: `${HOW_STEPS_ARE_TIMED} ${medians(rounds, steps)} TensorFlow.js does one step a round, ` +
      "on one thread, the only one its backend has outside of browsers, and without looking up " +
      "embeddings, dropout, clipping and decay: the backend has no gradient of the first.",
  };
}

const HOW_STEPS_ARE_TIMED = `Batches of ${BATCH_SIZE} texts of ${LENGTH} tokens, every weight ` +
  "trained, with dropout, clipping and AdamW. The work of a step is taken to be " +
  "`6 * layers * (4 * hidden² + 2 * hidden * intermediate) * tokens` operations, the usual " +
  "estimate: without attention, and with all of the last layer, most of which is saved. The rate of " +
  "matrix products alone is measured on 512 x 768 x 3,072.";

function medians(rounds: number, steps: number): string {
  return `Medians of ${count(rounds, "round")} of ${count(steps, "step")}.`;
}

async function stepMs(
  executor: Executor,
  size: Size,
  steps: number,
): Promise<number> {
  const { step_ms } = await benchTrain(executor, {
    mode: "full",
    size,
    batchSize: BATCH_SIZE,
    length: LENGTH,
    steps,
  });
  return step_ms;
}

async function medianStep(peer: PeerProcess<number[]> | undefined): Promise<number | undefined> {
  const timesMs = await peer?.round();
  return timesMs && median(timesMs);
}

function shareOfProducts(
  { name, size, stepMs, gflops, target }: {
    name: string;
    size: Size;
    stepMs: readonly number[];
    gflops: readonly number[];
    target: number;
  },
): Comparison {
  return {
    what: `${name}, work of a step`,
    unit: "GFLOP/s",
    graft: nominalStepFlops(benchConfig(size), BATCH_SIZE * LENGTH) / median(stepMs) / 1e6,
    peer: "matrix products alone",
    peer_figure: median(gflops),
    target,
  };
}
