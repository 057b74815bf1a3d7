/**
 * A step of training by the length of its texts, compared with PyTorch.
 *
 * @module
 */
import { Executor } from "../../onnx/runtime/executor.ts";
import {
  type BENCH_SIZES,
  benchConfig,
  benchTraining,
  median,
  nominalStepFlops,
  referenceProductGflops,
} from "../train.ts";
import { count } from "./comparison.ts";
import { figureOf, inTurn, type Measured, type PeerBenchOptions } from "./part.ts";
import { PeerProcess } from "./peer_process.ts";
import { BATCH_SIZE, NO_PYTORCH, pytorchProgram } from "./programs.ts";

type Size = keyof typeof BENCH_SIZES;

const DROPOUT = 0.1;
const RATE = 1e-4;
const TARGETS = { pytorch: 1.1, share: 0.75 };

/** Compares steps of one size on native code, with dropout and without. */
export async function compareLength(
  size: Size,
  length: number,
  { rounds, steps, threads }: PeerBenchOptions,
): Promise<Measured> {
  await using executor = await Executor.start({ device: "native", threads });
  const program = (dropout: number) =>
    pytorchProgram(size, { length, tokens: length, steps, threads, dropout });
  await using dropping = await PeerProcess.start<number[]>(program(DROPOUT));
  await using plain = await PeerProcess.start<number[]>(program(0));
  const graft = await stepper(executor, size, length, DROPOUT);
  const graftPlain = await stepper(executor, size, length, 0);
  const measured = await inTurn(rounds, {
    graft: () => medianOf(graft, steps),
    pytorch: () => medianStep(dropping),
    graftPlain: () => medianOf(graftPlain, steps),
    pytorchPlain: () => medianStep(plain),
    products: () => referenceProductGflops(executor),
  });
  const beside = (what: string, graftMs: number[], pytorchMs: (number | undefined)[]) => ({
    what,
    unit: "ms" as const,
    graft: median(graftMs),
    peer: "PyTorch",
    peer_figure: figureOf(pytorchMs, NO_PYTORCH),
    target: TARGETS.pytorch,
  });
  const flops = nominalStepFlops(benchConfig(size), BATCH_SIZE * length);
  return {
    versions: { onnxruntime: executor.onnxruntimeVersion, ...dropping?.versions },
    comparisons: [
      beside("a step", measured.graft, measured.pytorch),
      beside("a step without dropout", measured.graftPlain, measured.pytorchPlain),
      {
        what: "work of a step",
        unit: "GFLOP/s",
        graft: flops / median(measured.graft) / 1e6,
        peer: "matrix products alone",
        peer_figure: median(measured.products),
        target: TARGETS.share,
      },
    ],
    note:
      `Batches of ${BATCH_SIZE} texts of ${length} tokens, every weight trained, with clipping ` +
      `and AdamW, which is fused in PyTorch, as attention is. Medians of ${
        count(rounds, "round")
      } ` +
      `of ${count(steps, "step")}.`,
  };
}

/** A function that does a step and returns its time; the first step is done. */
async function stepper(
  executor: Executor,
  size: Size,
  length: number,
  dropout: number,
): Promise<() => Promise<number>> {
  const { graphs, weights, options, parts } = await benchTraining(
    { mode: "full", size, batchSize: BATCH_SIZE, length, dropout },
    executor.choice.device,
  );
  const session = await executor.loadTrainingSession(graphs, weights, options);
  let steps = 0;
  const step = async () => {
    const started = performance.now();
    await session.step(parts, ++steps, RATE);
    return performance.now() - started;
  };
  await step();
  return step;
}

async function medianOf(step: () => Promise<number>, steps: number): Promise<number> {
  const timesMs: number[] = [];
  for (let i = 0; i < steps; i++) timesMs.push(await step());
  return median(timesMs);
}

async function medianStep(peer: PeerProcess<number[]> | undefined): Promise<number | undefined> {
  const timesMs = await peer?.round();
  return timesMs && median(timesMs);
}
