/**
 * An epoch on the published titles, compared with the recipe published with them.
 *
 * @module
 */
import { trainingBatches } from "../../data/batches.ts";
import { readDataset } from "../../data/dataset.ts";
import { problemOf } from "../../models/formats/config.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { encodeExamples, stepFeeds } from "../../training/encoded_examples.ts";
import { trainingGraphs } from "../../training/graphs.ts";
import { OPTIMIZER } from "../train.ts";
import { inTurn, type Measured, type PeerBenchOptions } from "./part.ts";
import { PeerProcess } from "./peer_process.ts";
import { BATCH_SIZE, NO_PYTORCH, pytorchProgram } from "./programs.ts";
import { titleClassifier } from "./title_classifier.ts";

/** The length that the published recipe pads every title to. */
const RECIPE_LENGTH = 256;
const WARM_UP_STEPS = 2;

/** Compares an epoch of training, estimated from its first steps. */
export async function compareEpochs(options: PeerBenchOptions): Promise<Measured> {
  const { rounds, steps, recipeSteps, threads } = options;
  const dataset = await readDataset(options.data);
  const { config, tokenizer, weights } = titleClassifier(dataset);
  const { examples } = encodeExamples(dataset.train, tokenizer, problemOf(config));
  const lengths = examples.map(({ ids }) => ids.length);
  const meanLength = mean(lengths);
  const batches = trainingBatches(lengths, {
    batchSize: BATCH_SIZE,
    seed: 1,
    epoch: 0,
    shuffle: true,
  });

  await using executor = await Executor.start({ device: "native", threads });
  const session = await executor.loadTrainingSession(trainingGraphs(config), weights, {
    optimizer: OPTIMIZER,
    dropoutSeed: 1,
    largestDimensions: [{ batch: BATCH_SIZE, length: lengths.reduce((a, b) => Math.max(a, b)) }],
  });
  let stepsDone = 0;
  const stepMs = async () => {
    const batch = batches[stepsDone++ % batches.length]!;
    const startedAt = performance.now();
    const feeds = stepFeeds([batch.map((i) => examples[i]!)], config);
    await session.step(feeds, stepsDone, 1e-4);
    return performance.now() - startedAt;
  };
  for (let step = 0; step < WARM_UP_STEPS; step++) await stepMs();

  await using recipe = await PeerProcess.start<number[]>(
    pytorchProgram("minilm", {
      length: RECIPE_LENGTH,
      tokens: Math.round(meanLength),
      steps: recipeSteps,
      threads,
    }),
  );
  const { graftMs, recipeMs } = await inTurn(rounds, {
    graftMs: async () => {
      const timesMs: number[] = [];
      for (let step = 0; step < steps; step++) timesMs.push(await stepMs());
      return timesMs;
    },
    recipeMs: async () => await recipe?.round(),
  });
  await session.release();

  const epochSeconds = (timesMs: readonly number[]) => mean(timesMs) * batches.length / 1000;
  return {
    versions: { onnxruntime: executor.onnxruntimeVersion, ...recipe?.versions },
    comparisons: [{
      what: "MiniLM size, an epoch",
      unit: "s",
      graft: epochSeconds(graftMs.flat()),
      peer: "the published recipe",
      peer_figure: recipe === undefined
        ? NO_PYTORCH
        : epochSeconds(recipeMs.flatMap((timesMs) => timesMs ?? [])),
      target: 25,
    }],
    note: `${examples.length.toLocaleString("en")} titles of ${meanLength.toFixed(1)} tokens on ` +
      `average, ${batches.length} steps of ${BATCH_SIZE}; without evaluation. The recipe pads ` +
      `every title to ${RECIPE_LENGTH} tokens and trains with PyTorch and transformers; Graft's ` +
      "batches are real ones, padded to their longest title. Reckoned from the mean of " +
      `${rounds * steps} steps of Graft and ${rounds * recipeSteps} of the recipe.`,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
