/**
 * Trains a classifier: the whole way from a data set to a model's folder.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { collate, type TokenIds, trainingBatches } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import { writeJson } from "../data/files.ts";
import { UserError } from "../data/user_error.ts";
import { type Classifier, saveClassifier } from "../models/classifier.ts";
import type { BertConfig, ScratchSize } from "../models/config.ts";
import { argMax, logitsOf, softmax } from "../models/inference.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { Executor, type Tensors } from "../onnx/executor.ts";
import { elementCount } from "../onnx/shape.ts";
import { evaluate, type EvaluationReport } from "./evaluation.ts";
import type { TrainEvent, TrainResult } from "./events.ts";
import { trainingGraphs } from "./graphs.ts";
import { METRICS_FILE, TRAINING_ARGS_FILE } from "./run_folder.ts";
import { linearSchedule } from "./schedule.ts";
import { type TrainSettings, withModelDefaults } from "./settings.ts";
import { trainerState, trainingArgs } from "./trainer_state.ts";

/** The device that this version trains on. */
const DEVICE = "wasm";

/** What {@link train} needs beside the data. */
export interface TrainOptions {
  settings: TrainSettings;
  /** The folder that becomes the model's. */
  outDir: string;
  /** Called as the run goes on. */
  onEvent?: (event: TrainEvent) => void;
  /** Ends the run after the step that is running, with the signal's reason. */
  signal?: AbortSignal;
}

/** A text that is ready for the model. */
interface EncodedExample {
  text: string;
  ids: TokenIds;
  label: number;
}

/**
 * Fine-tunes a classifier on a data set, keeps the weights that did best on the validation file, and
 * writes the model and its metrics into a folder.
 *
 * @throws {UserError} If the loss stops being a number.
 */
export async function train(dataset: Dataset, options: TrainOptions): Promise<TrainResult> {
  const { outDir, onEvent = () => {}, signal } = options;
  const settings = withModelDefaults(options.settings);
  const { epochs, batchSize, seed } = settings;

  const trainRows = dataset.train.slice(0, settings.maxTrainSamples);
  const texts = trainRows.map(({ text }) => text);
  const size = settings.model.replace("scratch:", "") as ScratchSize;
  const base = scratchClassifier(size, texts, dataset.labels, seed);
  const classifier = { ...base, config: withDropout(base.config, settings.dropout) };
  const { config, tokenizer } = classifier;

  const maxLength = Math.min(settings.maxLength, config.max_position_embeddings);
  let truncatedCount = 0;
  const encode = ({ text, label }: { text: string; label: string }): EncodedExample => {
    const { ids, truncated } = tokenizer.encode(text, maxLength);
    truncatedCount += Number(truncated);
    return { text, ids, label: dataset.labels.indexOf(label) };
  };
  const trainExamples = trainRows.map(encode);
  const validationExamples = dataset.validation.map(encode);

  const lengths = trainExamples.map(({ ids }) => ids.length);
  const stepsPerEpoch = Math.ceil(trainExamples.length / batchSize);
  const totalSteps = Math.min(epochs * stepsPerEpoch, settings.maxSteps ?? Infinity);
  const warmupSteps = Math.ceil(settings.warmupRatio * totalSteps);

  await using executor = await Executor.start(
    settings.threads === undefined ? {} : { threads: settings.threads },
  );
  const graphs = trainingGraphs(config);
  const session = await executor.loadTrainingSession(graphs, classifier.weights, {
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
    device: DEVICE,
    parameters: graphs.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    steps: totalSteps,
    epochs,
    train_examples: trainExamples.length,
    validation_examples: validationExamples.length,
    truncated: truncatedCount,
  });

  const started = performance.now();
  let trainingMs = 0;
  let tokens = 0;
  let step = 0;
  let best = { accuracy: -1, epoch: 0, weights: classifier.weights };
  for (let epoch = 0; step < totalSteps; epoch++) {
    const batches = trainingBatches(lengths, { batchSize, seed, epoch, shuffle: settings.shuffle });
    for (const batch of batches.slice(0, totalSteps - step)) {
      signal?.throwIfAborted();
      const stepStarted = performance.now();
      const examples = batch.map((index) => trainExamples[index]!);
      const learningRate = settings.learningRate * linearSchedule(step, warmupSteps, totalSteps);
      step++;
      const { loss, gradientNorm } = await session.step(
        trainingFeeds(examples, config),
        step,
        learningRate,
      );
      if (!Number.isFinite(loss)) {
        throw new UserError(
          `Cannot go on after step ${step}: the loss is ${loss}; ` +
            `try a lower --learning-rate than ${settings.learningRate}`,
        );
      }
      trainingMs += performance.now() - stepStarted;
      tokens += examples.reduce((sum, { ids }) => sum + ids.length, 0);
      const elapsedMs = performance.now() - started;
      report({
        type: "step",
        step,
        epoch: step / stepsPerEpoch,
        loss,
        grad_norm: gradientNorm,
        learning_rate: learningRate,
        tokens_per_second: tokens / (trainingMs / 1000),
        seconds_left: (elapsedMs / step) * (totalSteps - step) / 1000,
      });
    }

    const { accuracy, f1_macro, loss } = await measure(session, validationExamples, classifier);
    const isBest = accuracy > best.accuracy;
    if (isBest) best = { accuracy, epoch: epoch + 1, weights: await session.weights() };
    report({
      type: "evaluation",
      step,
      epoch: step / stepsPerEpoch,
      loss,
      accuracy,
      f1_macro,
      best: isBest,
    });
  }

  await session.setWeights(best.weights);
  const split = dataset.test.length > 0 ? "test" : "validation";
  const measured = split === "test" ? dataset.test.map(encode) : validationExamples;
  const { loss: _, ...metrics } = await measure(session, measured, classifier, new Set(texts));
  const result: TrainResult = {
    run: basename(outDir),
    model_dir: outDir,
    steps: step,
    epochs: step / stepsPerEpoch,
    best_epoch: best.epoch,
    device: DEVICE,
    tokens_per_second: tokens / (trainingMs / 1000),
    metrics: { split, ...metrics },
  };

  await saveClassifier(outDir, { ...classifier, weights: best.weights });
  await writeJson(join(outDir, TRAINING_ARGS_FILE), trainingArgs(settings, resolve(dataset.dir)));
  await writeJson(join(outDir, "trainer_state.json"), trainerState(log, settings));
  await writeJson(join(outDir, METRICS_FILE), result.metrics);
  onEvent({ type: "finish", ...result });
  return result;
}

/** What one step takes; the loss is the mean over the batch. */
function trainingFeeds(examples: readonly EncodedExample[], config: BertConfig): Tensors {
  const labelCount = Object.keys(config.id2label).length;
  const labels = new Float32Array(examples.length * labelCount);
  for (const [row, { label }] of examples.entries()) labels[row * labelCount + label] = 1;
  return {
    ...collate(examples.map(({ ids }) => ids), config.pad_token_id),
    labels: { type: "float32", shape: [examples.length, labelCount], data: labels },
    example_weights: {
      type: "float32",
      shape: [examples.length],
      data: new Float32Array(examples.length).fill(1 / examples.length),
    },
  };
}

/** Predicts examples with a session's present weights and compares with their labels. */
async function measure(
  session: { run(feeds: Tensors): Promise<Tensors> },
  examples: readonly EncodedExample[],
  { config }: Pick<Classifier, "config">,
  seenTexts: ReadonlySet<string> = new Set(),
): Promise<EvaluationReport & { loss: number }> {
  const logits = await logitsOf(session, examples.map(({ ids }) => ids), config.pad_token_id);
  const predictions = examples.map(({ text, label }, i) => ({
    text,
    label,
    predicted: argMax(logits[i]!),
  }));
  const losses = examples.map(({ label }, i) => -Math.log(softmax(logits[i]!)[label]!));
  return {
    ...evaluate(predictions, Object.values(config.id2label), seenTexts),
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
  };
}

function withDropout(config: BertConfig, dropout: number): BertConfig {
  return { ...config, hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout };
}
