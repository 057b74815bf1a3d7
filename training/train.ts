/**
 * Trains a classifier: the whole way from a data set to a model's folder.
 *
 * @module
 */
import { basename, join } from "node:path";
import { type Dataset, digestOf } from "../data/dataset.ts";
import type { Examples } from "../data/example_file.ts";
import type { Example } from "../data/examples.ts";
import { exists, isDiskFull, writeFileAtomically, writeJson } from "../lib/files.ts";
import { leakageLine } from "../data/preparation/leakage.ts";
import { UserError } from "../lib/user_error.ts";
import { saveAdapter } from "../models/formats/adapter.ts";
import { ADAPTER_WEIGHTS_FILE } from "../models/formats/adapter_files.ts";
import { readWeights, WEIGHTS_FILE } from "../models/formats/weight_files.ts";
import { saveClassifier } from "../models/formats/classifier.ts";
import { savePartner } from "../models/partner/partner_file.ts";
import { familyOf, readConfig, tuningDefaults } from "../models/family.ts";
import { problemOf, scratchSizeOf } from "../models/formats/config.ts";
import { isHubName, modelDir } from "../models/hub.ts";
import { outputParameters, withCalibration } from "../models/heads/calibration.ts";
import { frozenBase } from "../models/weights.ts";
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { chooseDevice } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { OutOfMemoryError } from "../onnx/runtime/device_memory.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import {
  CheckpointClock,
  checkpointName,
  lastCheckpoint,
  readTrainerState,
  removeOptimizerStates,
  restoreMoments,
  restoreWeights,
  saveCheckpoint,
  writeTrainerState,
} from "./folder/checkpoints.ts";
import { headline } from "./evaluation.ts";
import type { TrainEvent, TrainResult } from "./events.ts";
import { type EncodedExample, predictExamples, stepFeeds, trainingRows } from "./examples.ts";
import { fit, interruptible } from "./fit.ts";
import { frozenParameters } from "./freeze.ts";
import { trainingGraphs } from "./graphs.ts";
import { initialModel, resumedModel } from "./initial_model.ts";
import { cardBase, modelCard } from "./folder/model_card.ts";
import { classWeights } from "./class_weights.ts";
import { conclude } from "./conclusion.ts";
import { optimizerOf } from "./optimizer.ts";
import {
  checkOutDir,
  lockRun,
  METRICS_FILE,
  prepareOutDir,
  readUnfinishedRun,
} from "./folder/run_folder.ts";
import { lessStepMemory, planParts } from "./parts.ts";
import { longTextsOf, type TrainSettings, withModelDefaults } from "./settings.ts";
import { stepPlan } from "./step_plan.ts";
import { StepRunner } from "./step_runner.ts";
import { TrainerState } from "./folder/trainer_state.ts";
import { trainingTexts } from "./training_texts.ts";
import { writeTrainingArgs } from "./folder/training_args.ts";

/** The time between two writes of a run's state, for those who watch its folder. */
const SHOW_INTERVAL_MS = 2000;

/** Options of {@link train}. */
export interface TrainOptions {
  settings: TrainSettings;
  /** The folder that becomes the model's. */
  outDir: string;
  /** The name of the run; by default that of its folder. */
  name?: string;
  /** Whether to replace a run that the folder holds already. */
  overwrite?: boolean;
  /** Writes the data into the folder, if they stand nowhere else as they are trained on. */
  keepData?: () => Promise<void>;
  /** Whether to go on with the unfinished run of these settings that the folder holds. */
  resume?: boolean;
  /** Called as the run goes on. */
  onEvent?: (event: TrainEvent) => void;
  /** Stops the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Fine-tunes a classifier on a data set, keeps the weights that did best on the validation file, and
 * writes the model and its metrics into a folder.
 *
 * A run that is resumed ends with the same bytes of weights as one that was never stopped, on the
 * same device with as many threads. A run that runs out of memory goes on from its last checkpoint
 * with half of its `stepMemory`.
 *
 * @throws {UserError} If the folder is taken, the loss stops being a number, or one text alone is too
 * much for the device.
 * @throws {TrainingInterrupted} If the signal aborts; the signal's reason, if it does so while the
 * base is downloaded.
 */
export async function train(dataset: Dataset, options: TrainOptions): Promise<TrainResult> {
  try {
    return await runTraining(dataset, options);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    const { settings } = await readUnfinishedRun(options.outDir);
    const stepMemory = lessStepMemory(settings.stepMemory, error);
    return await train(dataset, {
      ...options,
      settings: { ...options.settings, stepMemory },
      resume: true,
    });
  }
}

/**
 * Checks what can be checked before the data are read, which may take minutes.
 *
 * @throws {UserError} If the folder is taken, or that of the base holds no model.
 * @throws {DeviceError} If the device is not there.
 */
export async function checkBeforeData(
  { model, device }: Pick<TrainSettings, "model" | "device">,
  { outDir, overwrite = false, resume = false }: Pick<
    TrainOptions,
    "outDir" | "overwrite" | "resume"
  >,
): Promise<void> {
  if (!resume) await checkOutDir(outDir, { overwrite });
  await chooseDevice(device);
  // A model of the hub is not downloaded for data that may be refused.
  const isElsewhere = scratchSizeOf(model) !== undefined || isHubName(model);
  if (!isElsewhere || await exists(model)) await readConfig(await modelDir(model));
}

/** Trains as {@link train} does, with parts of one size. */
async function runTraining(dataset: Dataset, options: TrainOptions): Promise<TrainResult> {
  const { outDir, overwrite = false, resume = false, onEvent = () => {}, signal } = options;
  const { problemType } = options.settings;

  await using locks = new AsyncDisposableStack();
  if (!resume) await checkOutDir(outDir, { overwrite });
  // The device takes seconds to start; the data are gone through meanwhile.
  const starting = Executor.start(options.settings);
  locks.defer(async () => await (await starting.catch(() => undefined))?.[Symbol.asyncDispose]());
  const trainRows = trainingRows(dataset.train, options.settings);
  let sha256: string | undefined;
  const dataNow = () => ({ dir: dataset.dir, sha256: sha256 ??= digestOf(dataset) });
  const checkpoint = resume ? await checkpointOf(outDir, dataNow(), locks) : undefined;
  const downloads = { onDownload: onEvent, signal };
  const { notes, tuning, ...base } = checkpoint === undefined
    ? await initialModel(options.settings, dataset.labels, textsOf(trainRows), downloads)
    : await resumedModel(checkpoint, options.settings, dataset.labels, downloads);
  const suiting = { defaults: tuningDefaults(base.config) };
  const settings = withModelDefaults(options.settings, suiting, {
    examples: trainRows.length,
    labels: dataset.labels.length,
  });
  const config = {
    ...familyOf(base.config).withDropout(base.config, settings.dropout),
    problem_type: problemType,
  };
  const problem = problemOf(config);
  const tokenizer = base.tokenizer.withLongTexts(longTextsOf(settings));

  const encoding = trainingTexts(trainRows, {
    tokenizer,
    problem,
    onProgress: (texts) => onEvent({ type: "encoding", texts, total: trainRows.length }),
  });
  // While the device and the Workers start.
  const data = dataNow();
  const texts = locks.use(await encoding);
  const { lengths, loss: textLoss, unknownShare } = texts;
  const classOf = (_: number, row: number) => texts.target(row)[0]!;
  const lossWeights = settings.classWeights === undefined
    ? undefined
    : classWeights(settings.classWeights, Array.from(lengths, classOf), dataset.labels);
  const plan = stepPlan(lengths.length, settings);
  const { stepsPerEpoch, totalSteps } = plan;

  const frozen = tuning === undefined
    ? frozenParameters(settings.freeze, Object.keys(base.weights))
    : frozenBase(config);
  const graphs = trainingGraphs(config, frozen, tuning?.peft, settings.gradientCheckpointing);
  const trained = graphs.gradients.map(({ parameter }) => parameter);
  const parameterCount = count(graphs.parameters);
  const trainedCount = count(graphs.parameters.filter(({ name }) => !frozen.has(name)));

  const executor = await starting;
  const parts = await planParts({
    device: executor.choice.device,
    lifetimes: graphs.lifetimes,
    dimensions: (batch, length) => ({ batch, length }),
    lengths: texts.possibleLengths,
    batchSize: settings.batchSize,
    stepMemory: settings.stepMemory,
    gradientCheckpointing: settings.gradientCheckpointing,
  });
  const planned = { ...settings, stepMemory: parts.stepMemory };
  const loading = executor.loadTrainingSession(graphs, base.weights, {
    optimizer: optimizerOf(settings),
    dropoutSeed: settings.seed,
    largestDimensions: parts.largest,
  });
  // An error is thrown where it is awaited.
  loading.catch(() => {});
  const leakage = leakageLine({ ...dataset, train: trainRows });
  const session = await loading;
  if (!resume) {
    // Only now: a mistake in the settings must not cost the run that is overwritten.
    locks.use(await lockRun(outDir));
    const writeArgs = async () => {
      await options.keepData?.();
      await writeTrainingArgs(outDir, planned, data);
    };
    await prepareOutDir(outDir, writeArgs, { overwrite });
  } else {
    // The data may have moved.
    await writeTrainingArgs(outDir, planned, data);
  }
  const state = new TrainerState(
    settings,
    stepsPerEpoch,
    checkpoint === undefined ? undefined : await readTrainerState(checkpoint),
  );
  if (checkpoint !== undefined) await restoreMoments(checkpoint, session, trained);

  onEvent({
    type: "start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: trainedCount,
    steps: totalSteps,
    steps_done: state.step,
    epochs: settings.epochs,
    train_examples: trainRows.length,
    validation_examples: dataset.validation.length,
    truncated: settings.longTexts === "chunk"
      ? 0
      : Math.round(textLoss.long * trainRows.length / textLoss.texts),
    lost_share: textLoss.lost / Math.max(1, textLoss.tokens),
    chunks: settings.longTexts === "chunk" ? lengths.length - trainRows.length + textLoss.long : 0,
    unknown_share: unknownShare,
    leakage,
    notes: [...notes, parts.note ?? [], texts.note ?? []].flat(),
  });

  const runner = new StepRunner({
    session,
    state,
    learningRate: settings.learningRate,
    ...plan,
    lastCheckpoint: () => lastCheckpoint(outDir),
    onEvent,
  });
  let shownAt = performance.now();
  const show = async () => {
    shownAt = performance.now();
    // On a full disk the run goes on unseen.
    await writeTrainerState(outDir, state).catch((error) => {
      if (!isDiskFull(error)) throw error;
    });
  };
  const clock = new CheckpointClock(settings.saveSteps);
  const save = async () => {
    await runner.settle();
    const model = { config, tokenizer, tuning };
    const dir = await saveCheckpoint(outDir, {
      model,
      session,
      trained,
      state,
      totalLimit: settings.saveTotalLimit,
    });
    clock.restart();
    await show();
    onEvent({ type: "checkpoint", step: state.step, dir });
  };
  const prepare = (rows: readonly number[][]) => {
    const parts = rows.map((part) =>
      part.map((row) => ({ ids: texts.ids(row), target: texts.target(row) }))
    );
    const tokens = parts.flat().reduce((sum, { ids }) => sum + ids.length, 0);
    return { parts: stepFeeds(parts, config, lossWeights), tokens };
  };
  const afterStep = async (step: number) => {
    if (performance.now() - shownAt > SHOW_INTERVAL_MS) await show();
    const evaluationFollows = step === totalSteps || step % stepsPerEpoch === 0;
    if (!evaluationFollows && clock.isDue(step)) await save();
  };

  const predicting = { signal, chunkJoin: settings.chunkJoin };
  let validation: EncodedExample[] | undefined;
  const encodedValidation = async () => validation ??= await texts.encode(dataset.validation);
  const afterEpoch = async () => {
    const { loss, predictions } = await predictExamples(
      session,
      await encodedValidation(),
      config,
      predicting,
    );
    const metrics = headline(predictions, problem);
    const best = state.addEvaluation(loss, metrics);
    onEvent({ type: "evaluation", step: state.step, epoch: state.epoch, loss, ...metrics, best });
    await save();
    return !state.outOfPatience;
  };
  const run = { outDir, state, signal };
  if (!state.outOfPatience) {
    const fitting = {
      runner,
      state,
      plan,
      settings: { ...settings, ...parts },
      lengths,
      ready: texts.ready,
      beforeEpoch: texts.encodeAhead,
      firstEpoch: state.epochsDone,
      prepare,
      afterStep,
      afterEpoch,
      signal,
    };
    await interruptible(() => fit(fitting), { ...run, save });
  }

  const best = state.best!;
  const bestDir = join(outDir, checkpointName(best.step));
  await restoreWeights(bestDir, session);
  const split = dataset.test.length > 0 ? "test" : "validation";
  const answered = async (rows: readonly Example[], examples: readonly EncodedExample[]) => {
    const predict = () => predictExamples(session, examples, config, predicting);
    return { rows, examples, logits: (await interruptible(predict, run)).logits };
  };
  const measured = await texts.encode(dataset[split]);
  const { calibration, partner, problem: { thresholds }, ...verdict } = conclude({
    train: trainRows,
    validation: await answered(dataset.validation, await encodedValidation()),
    measured: await answered(dataset[split], measured),
    problem,
    partner: settings.partner,
    calibrates: !outputParameters(config).some((name) => frozen.has(name)),
  });
  // The export needs much memory too.
  await session.release();
  await executor.close();

  const result: TrainResult = {
    run: options.name ?? basename(outDir),
    model_dir: outDir,
    steps: state.step,
    epochs: state.epoch,
    best_epoch: best.epoch,
    device: executor.choice.device,
    tokens_per_second: runner.tokensPerSecond,
    ...verdict,
    metrics: { split, ...verdict.metrics },
  };
  const bestWeights = await readWeights(bestDir, config, graphs.parameters);
  const finished = {
    config: { ...config, calibration, ...thresholds && { thresholds: [...thresholds] } },
    tokenizer,
    weights: calibration === undefined
      ? bestWeights
      : withCalibration(config, bestWeights, calibration),
  };
  if (tuning === undefined) {
    await saveClassifier(outDir, { ...finished, partner });
  } else {
    await saveAdapter(outDir, { ...tuning, ...finished });
    await savePartner(outDir, partner);
  }
  await writeTrainerState(outDir, state);
  const { size } = await Deno.stat(join(outDir, tuning ? ADAPTER_WEIGHTS_FILE : WEIGHTS_FILE));
  const cardOf = await cardBase(settings.model);
  const card = modelCard({
    result,
    settings,
    base: cardOf,
    dataset,
    parameterCount,
    trainedCount,
    size,
  });
  await writeFileAtomically(join(outDir, "README.md"), card);
  await writeJson(join(outDir, METRICS_FILE), result.metrics);
  // Only now: an unfinished run goes on from them.
  if (!settings.keepOptimizer) await removeOptimizerStates(outDir);
  onEvent({ type: "finish", ...result });
  return result;
}

function* textsOf(rows: Examples): Generator<string> {
  for (const { text } of rows) yield text;
}

/** Counts the numbers in all parameters together. */
function count(parameters: readonly ParameterShape[]): number {
  return parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/**
 * Locks a run's folder and finds the checkpoint from which the run goes on; `undefined` if it was
 * stopped before its first.
 *
 * @throws {UserError} If there is nothing to resume, or the data are not those of the run.
 */
async function checkpointOf(
  outDir: string,
  data: { dir: string; sha256: string },
  locks: AsyncDisposableStack,
): Promise<string | undefined> {
  const { dataSha256 } = await readUnfinishedRun(outDir);
  locks.use(await lockRun(outDir));
  if (dataSha256 !== data.sha256) {
    throw new UserError(`Cannot resume '${outDir}': the data in '${data.dir}' have changed`);
  }
  return await lastCheckpoint(outDir);
}
