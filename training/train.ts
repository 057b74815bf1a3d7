/**
 * Trains a classifier: the whole way from a data set to a model's folder.
 *
 * @module
 */
import { basename, join } from "node:path";
import { chunks, collate, type TokenIds, trainingBatches } from "../data/batches.ts";
import type { Example } from "../data/csv.ts";
import type { Dataset } from "../data/dataset.ts";
import { writeFileAtomically, writeJson } from "../data/files.ts";
import { labelRow } from "../data/labels.ts";
import { UserError } from "../data/user_error.ts";
import { saveClassifier } from "../models/classifier.ts";
import { type BertConfig, problemOf, scratchSizeOf, withDropout } from "../models/config.ts";
import { logitsOf, scoresOf } from "../models/inference.ts";
import { modelDir } from "../models/hub.ts";
import { pretrainedClassifier } from "../models/pretrained.ts";
import { scratchClassifier } from "../models/scratch.ts";
import type { BertTokenizer } from "../models/tokenizer.ts";
import { Executor, type ParameterValues, type Tensors } from "../onnx/executor.ts";
import { elementCount } from "../onnx/shape.ts";
import { evaluate, headline, type Prediction } from "./evaluation.ts";
import type { StepEvent, TrainEvent, TrainResult } from "./events.ts";
import { frozenParameters } from "./freeze.ts";
import { trainingGraphs } from "./graphs.ts";
import { lossOf } from "./loss.ts";
import { type Headline, isBetter } from "./metrics.ts";
import { modelCard } from "./model_card.ts";
import { METRICS_FILE, prepareOutDir } from "./run_folder.ts";
import { linearSchedule } from "./schedule.ts";
import { type TrainSettings, withModelDefaults } from "./settings.ts";
import { trainerState } from "./trainer_state.ts";

/** What {@link train} needs beside the data. */
export interface TrainOptions {
  settings: TrainSettings;
  /** The folder that becomes the model's. */
  outDir: string;
  /** Whether the folder may hold a run already, which is replaced. */
  overwrite?: boolean;
  /** Called as the run goes on. */
  onEvent?: (event: TrainEvent) => void;
}

/** A text that is ready for the model. */
interface EncodedExample {
  text: string;
  ids: TokenIds;
  /** As the data has it. */
  label: string;
}

/**
 * Fine-tunes a classifier on a data set, keeps the weights that did best on the validation file, and
 * writes the model and its metrics into a folder.
 *
 * @throws {UserError} If the folder is taken, or the loss stops being a number.
 */
export async function train(dataset: Dataset, options: TrainOptions): Promise<TrainResult> {
  const { outDir, overwrite = false, onEvent = () => {} } = options;
  const settings = withModelDefaults(options.settings);
  const { epochs, batchSize, seed, maxLength, problemType } = settings;

  const trainRows = dataset.train.slice(0, settings.maxTrainSamples);
  const texts = trainRows.map(({ text }) => text);
  const size = scratchSizeOf(settings.model);
  const { notes, ...base } = size === undefined
    ? await pretrainedClassifier(
      await modelDir(settings.model, { onDownload: onEvent }),
      dataset.labels,
      { seed, maxLength },
    )
    : { notes: [], ...scratchClassifier(size, texts, dataset.labels, { seed, maxLength }) };
  const config = { ...withDropout(base.config, settings.dropout), problem_type: problemType };
  const problem = problemOf(config);
  const { tokenizer } = base;

  const encoded = encodeExamples(trainRows, tokenizer);
  const validation = encodeExamples(dataset.validation, tokenizer);
  const lengths = encoded.examples.map(({ ids }) => ids.length);
  const partsPerStep = settings.gradientAccumulationSteps;
  const stepsPerEpoch = Math.ceil(Math.ceil(lengths.length / batchSize) / partsPerStep);
  const totalSteps = Math.min(epochs * stepsPerEpoch, settings.maxSteps ?? Infinity);
  const warmupSteps = Math.ceil(settings.warmupRatio * totalSteps);

  const frozen = settings.freeze === undefined
    ? new Set<string>()
    : frozenParameters(settings.freeze, Object.keys(base.weights));
  const graphs = trainingGraphs(config, frozen);

  // Only now: a mistake in the settings must not cost the run that is overwritten.
  await prepareOutDir(outDir, settings, dataset.dir, { overwrite });
  await using executor = await Executor.start(settings);
  const session = await executor.loadTrainingSession(graphs, base.weights, {
    optimizer: {
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: settings.weightDecay,
      maxGradientNorm: settings.maxGradNorm,
    },
    dropoutSeed: seed,
    largestDimensions: { batch: batchSize, length: lengths.reduce((a, b) => Math.max(a, b)) },
  });

  const log: TrainEvent[] = [];
  const report = (event: TrainEvent) => {
    log.push(event);
    onEvent(event);
  };
  report({
    type: "start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: graphs.parameters
      .filter(({ name }) => !frozen.has(name))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0),
    steps: totalSteps,
    epochs,
    train_examples: encoded.examples.length,
    validation_examples: validation.examples.length,
    truncated: encoded.truncated,
    notes,
  });

  const pace = new Pace(totalSteps);
  let step = 0;
  let best: { metrics?: Headline; epoch: number; weights: ParameterValues } = {
    epoch: 0,
    weights: {},
  };
  for (let epoch = 0; step < totalSteps; epoch++) {
    const batches = trainingBatches(lengths, { batchSize, seed, epoch, shuffle: settings.shuffle });
    for (const parts of chunks(batches, partsPerStep).slice(0, totalSteps - step)) {
      const examples = parts.map((part) => part.map((index) => encoded.examples[index]!));
      const count = examples.reduce((sum, part) => sum + part.length, 0);
      const learningRate = settings.learningRate * linearSchedule(step, warmupSteps, totalSteps);
      step++;
      const { loss, gradientNorm } = await session.step(
        examples.map((part) => trainingFeeds(part, config, 1 / count)),
        step,
        learningRate,
      );
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        throw new UserError(
          `Cannot go on after step ${step}: the loss is ${loss}, its gradient's norm ` +
            `${gradientNorm}; try a lower --learning-rate than ${settings.learningRate}`,
        );
      }
      report({
        type: "step",
        step,
        epoch: step / stepsPerEpoch,
        loss,
        grad_norm: gradientNorm,
        learning_rate: learningRate,
        ...pace.after(step, examples.flat()),
      });
    }

    const { loss, predictions } = await predict(session, validation.examples, config);
    const metrics = headline(predictions, problem);
    const isBest = best.metrics === undefined || isBetter(metrics, best.metrics);
    if (isBest) best = { metrics, epoch: epoch + 1, weights: await session.weights() };
    report({
      type: "evaluation",
      step,
      epoch: step / stepsPerEpoch,
      loss,
      ...metrics,
      best: isBest,
    });
    if (epoch + 1 - best.epoch >= (settings.patience ?? Infinity)) break;
  }

  await session.setWeights(best.weights);
  const split = dataset.test.length > 0 ? "test" : "validation";
  const { examples } = encodeExamples(dataset[split], tokenizer);
  const { predictions } = await predict(session, examples, config);
  const result: TrainResult = {
    run: basename(outDir),
    model_dir: outDir,
    steps: step,
    epochs: step / stepsPerEpoch,
    best_epoch: best.epoch,
    device: executor.choice.device,
    tokens_per_second: pace.tokensPerSecond,
    metrics: { split, ...evaluate(predictions, problem, new Set(texts)) },
  };

  await saveClassifier(outDir, { config, tokenizer, weights: await session.weights() });
  await writeJson(join(outDir, "trainer_state.json"), trainerState(log, settings));
  await writeFileAtomically(join(outDir, "README.md"), modelCard({ result, settings, dataset }));
  await writeJson(join(outDir, METRICS_FILE), result.metrics);
  onEvent({ type: "finish", ...result });
  return result;
}

/** Encodes texts and counts those that are longer than the tokenizer allows and lose their end. */
function encodeExamples(
  rows: readonly Example[],
  tokenizer: BertTokenizer,
): { examples: EncodedExample[]; truncated: number } {
  let truncatedCount = 0;
  const examples = rows.map(({ text, label }) => {
    const { ids, truncated } = tokenizer.encode(text);
    truncatedCount += Number(truncated);
    return { text, ids, label };
  });
  return { examples, truncated: truncatedCount };
}

/** What a part of a step takes, each example with the same weight in the loss. */
function trainingFeeds(
  examples: readonly EncodedExample[],
  config: BertConfig,
  exampleWeight: number,
): Tensors {
  const problem = problemOf(config);
  return {
    ...collate(examples.map(({ ids }) => ids), config.pad_token_id),
    labels: {
      type: "float32",
      shape: [examples.length, problem.labels.length],
      data: Float32Array.from(examples.flatMap(({ label }) => labelRow(label, problem))),
    },
    example_weights: {
      type: "float32",
      shape: [examples.length],
      data: new Float32Array(examples.length).fill(exampleWeight),
    },
  };
}

/** Predicts examples with a session's present weights, and gives their mean loss. */
async function predict(
  session: { run(feeds: Tensors): Promise<Tensors> },
  examples: readonly EncodedExample[],
  config: BertConfig,
): Promise<{ predictions: Prediction[]; loss: number }> {
  const problem = problemOf(config);
  const logits = await logitsOf(session, examples.map(({ ids }) => ids), config.pad_token_id);
  const predictions = examples.map(({ text, label }, i) => ({
    text,
    labels: labelRow(label, problem),
    scores: scoresOf(logits[i]!, problem.problemType),
  }));
  const losses = predictions.map(({ labels }, i) =>
    lossOf(logits[i]!, labels, problem.problemType)
  );
  return {
    predictions,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
  };
}

/** How fast training goes, evaluations included. */
class Pace {
  readonly #started = performance.now();
  readonly #totalSteps: number;
  #tokens = 0;
  tokensPerSecond = 0;

  constructor(totalSteps: number) {
    this.#totalSteps = totalSteps;
  }

  /** Counts a step that has just ended. */
  after(
    step: number,
    examples: readonly EncodedExample[],
  ): Pick<StepEvent, "tokens_per_second" | "seconds_left"> {
    this.#tokens += examples.reduce((sum, { ids }) => sum + ids.length, 0);
    const seconds = (performance.now() - this.#started) / 1000;
    this.tokensPerSecond = this.#tokens / seconds;
    return {
      tokens_per_second: this.tokensPerSecond,
      seconds_left: (seconds / step) * (this.#totalSteps - step),
    };
  }
}
