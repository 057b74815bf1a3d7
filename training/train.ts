/**
 * Trains a classifier: the whole way from a data set to a model's folder.
 *
 * @module
 */
import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import type { Example } from "../data/examples.ts";
import { exists, isDiskFull, writeFileAtomically, writeJson } from "../lib/files.ts";
import { readConfig } from "../models/family.ts";
import { saveAdapter } from "../models/formats/adapter.ts";
import { ADAPTER_WEIGHTS_FILE } from "../models/formats/adapter_files.ts";
import { saveClassifier } from "../models/formats/classifier_folder.ts";
import { scratchSizeOf } from "../models/own_models.ts";
import { readWeights, WEIGHTS_FILE } from "../models/formats/weight_files.ts";
import { outputParameters, withCalibration } from "../models/heads/calibration.ts";
import { modelDir } from "../models/hub.ts";
import { isHubName } from "../models/hub_cache.ts";
import { savePartner } from "../models/partner/partner_file.ts";
import { ownsPooler } from "../models/parameters.ts";
import { chooseDevice } from "../onnx/runtime/device.ts";
import { OutOfMemoryError } from "../onnx/runtime/device_memory.ts";
import { parameterCount } from "../onnx/runtime/optimizer/adamw.ts";
import { conclude, type Conclusion } from "./conclusion.ts";
import { headline, type MeasuredSplit } from "./evaluation.ts";
import type { StartEvent, TrainResult } from "./events.ts";
import { type EncodedExample, predictExamples, stepFeeds } from "./encoded_examples.ts";
import { fit, interruptible } from "./fit.ts";
import {
  CheckpointClock,
  checkpointName,
  lastCheckpoint,
  removeOptimizerStates,
  restoreWeights,
  saveCheckpoint,
  writeTrainerState,
} from "./folder/checkpoints.ts";
import { cardBase, cardDataName, modelCard } from "./folder/model_card.ts";
import { checkOutDir, METRICS_FILE, readUnfinishedRun } from "./folder/run_folder.ts";
import { writeSeenTexts } from "./folder/seen_texts.ts";
import { lessStepMemory } from "./parts.ts";
import { type PreparedRun, prepareRun, type RunOptions } from "./prepared_run.ts";
import type { TrainSettings } from "./settings.ts";
import { type PreparedStep, StepRunner } from "./step_runner.ts";

/** The time between two writes of a run's state, for those who watch its folder. */
const SHOW_INTERVAL_MS = 2000;

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
export async function train(dataset: Dataset, options: RunOptions): Promise<TrainResult> {
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
    RunOptions,
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
async function runTraining(dataset: Dataset, options: RunOptions): Promise<TrainResult> {
  await using resources = new AsyncDisposableStack();
  const run = await prepareRun(dataset, options, resources);
  run.onEvent(startEvent(run));
  const runner = await trainEpochs(run);
  const conclusion = await concludeBest(run);
  // The export needs much memory too.
  await run.session.release();
  await run.executor.close();
  const result = resultOf(run, conclusion, runner);
  await saveFinished(run, conclusion, result);
  run.onEvent({ type: "finish", ...result });
  return result;
}

/** The event that tells how the run begins. */
function startEvent(run: PreparedRun): StartEvent {
  const { settings, dataset: { train, validation }, texts, executor } = run;
  const { loss } = texts;
  const inChunks = settings.longTexts === "chunk";
  return {
    type: "start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: trainedCount(run),
    steps: run.plan.totalSteps,
    steps_done: run.state.step,
    epochs: settings.epochs,
    train_examples: train.length,
    validation_examples: validation.length,
    truncated: inChunks ? 0 : Math.round(loss.long * train.length / loss.texts),
    lost_share: loss.lost / Math.max(1, loss.tokens),
    chunks: inChunks ? texts.lengths.length - train.length + loss.long : 0,
    unknown_share: texts.unknownShare,
    leakage: run.leakage,
    notes: [...run.notes, run.parts.note ?? [], texts.note ?? []].flat(),
  };
}

/** The number of values that are trained. */
function trainedCount({ parameters, frozen }: PreparedRun): number {
  return parameterCount(parameters.filter(({ name }) => !frozen.has(name)));
}

/** Trains epoch by epoch; each ends with a measurement on the validation file and a checkpoint. */
async function trainEpochs(run: PreparedRun): Promise<StepRunner> {
  const { settings, outDir, texts, plan, session, state, onEvent, signal } = run;
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
    const dir = await saveCheckpoint(outDir, {
      model: run,
      session,
      trained: run.trained,
      state,
      totalLimit: settings.saveTotalLimit,
    });
    clock.restart();
    await show();
    onEvent({ type: "checkpoint", step: state.step, dir });
  };
  const afterStep = async (step: number) => {
    if (performance.now() - shownAt > SHOW_INTERVAL_MS) await show();
    const evaluationFollows = step === plan.totalSteps || step % plan.stepsPerEpoch === 0;
    if (!evaluationFollows && clock.isDue(step)) await save();
  };
  const afterEpoch = async () => {
    await evaluateEpoch(run);
    await save();
    return !state.outOfPatience;
  };
  const fitting = {
    runner,
    state,
    plan,
    settings: { ...settings, ...run.parts },
    lengths: texts.lengths,
    ready: texts.ready,
    beforeEpoch: texts.encodeAhead,
    firstEpoch: state.epochsDone,
    prepare: (parts: number[][]) => prepareStep(parts, run),
    afterStep,
    afterEpoch,
    signal,
  };
  if (!state.outOfPatience) {
    await interruptible(() => fit(fitting), { outDir, state, save, signal });
  }
  return runner;
}

/** Makes the feeds of a step from the rows of its parts. */
function prepareStep(
  parts: readonly number[][],
  { texts, config, lossWeights }: PreparedRun,
): PreparedStep {
  const examples = parts.map((part) =>
    part.map((row) => ({
      ids: texts.ids(row),
      target: texts.target(row),
      softTarget: texts.softTarget(row),
    }))
  );
  const tokens = examples.flat().reduce((sum, { ids }) => sum + ids.length, 0);
  return { parts: stepFeeds(examples, config, lossWeights), tokens };
}

/** Measures the model on the validation file after an epoch. */
async function evaluateEpoch(run: PreparedRun): Promise<void> {
  const { state } = run;
  const { loss, predictions } = await predict(run, await run.encodedValidation());
  const metrics = headline(predictions, run.problem);
  const best = state.addEvaluation(loss, metrics);
  run.onEvent({ type: "evaluation", step: state.step, epoch: state.epoch, loss, ...metrics, best });
}

function predict(run: PreparedRun, examples: readonly EncodedExample[]) {
  const { session, config, settings, signal } = run;
  return predictExamples(session, examples, config, { signal, chunkJoin: settings.chunkJoin });
}

/** Goes back to the best epoch, and concludes with its answers. */
async function concludeBest(run: PreparedRun): Promise<Conclusion> {
  const { dataset, config } = run;
  await restoreWeights(bestCheckpoint(run), run.session);
  const answered = async (rows: readonly Example[], examples: readonly EncodedExample[]) => {
    const { logits } = await interruptible(() => predict(run, examples), run);
    return { rows, examples, logits };
  };
  const measured = dataset[measuredSplit(run)];
  const encoded = await run.texts.encode(measured);
  return conclude({
    train: dataset.train,
    validation: await answered(dataset.validation, await run.encodedValidation()),
    measured: await answered(measured, encoded),
    problem: run.problem,
    partner: run.settings.partner,
    calibrates: !outputParameters(config).some((name) => run.frozen.has(name)),
  });
}

/** The folder of the best epoch's checkpoint. */
function bestCheckpoint({ outDir, state }: PreparedRun): string {
  return join(outDir, checkpointName(state.best!.step));
}

/** The file that the result is measured on. */
function measuredSplit({ dataset }: PreparedRun): MeasuredSplit {
  return dataset.test.length > 0 ? "test" : "validation";
}

function resultOf(
  run: PreparedRun,
  { metrics, linear_baseline, network_alone }: Conclusion,
  { tokensPerSecond }: StepRunner,
): TrainResult {
  return {
    run: run.name,
    model_dir: run.outDir,
    steps: run.state.step,
    epochs: run.state.epoch,
    best_epoch: run.state.best!.epoch,
    device: run.executor.choice.device,
    tokens_per_second: tokensPerSecond,
    metrics: { split: measuredSplit(run), ...metrics },
    linear_baseline,
    network_alone,
  };
}

/** Writes the model of the best epoch into the run's folder, with its card and metrics. */
async function saveFinished(
  run: PreparedRun,
  { calibration, partner, problem: { thresholds } }: Conclusion,
  result: TrainResult,
): Promise<void> {
  const { outDir, settings, config, tokenizer, tuning, parameters } = run;
  const weights = await readWeights(bestCheckpoint(run), config, parameters);
  const finished = {
    config: { ...config, calibration, ...thresholds && { thresholds: [...thresholds] } },
    tokenizer,
    weights: calibration === undefined ? weights : withCalibration(config, weights, calibration),
  };
  if (tuning === undefined) {
    await saveClassifier(outDir, { ...finished, partner });
  } else {
    await saveAdapter(outDir, { ...tuning, ...finished });
    await savePartner(outDir, partner);
  }
  await writeTrainerState(outDir, run.state);
  const { size } = await Deno.stat(join(outDir, tuning ? ADAPTER_WEIGHTS_FILE : WEIGHTS_FILE));
  const card = modelCard({
    dataName: await cardDataName(run.dataset.dir),
    result,
    settings,
    ownsPooler: tuning !== undefined && ownsPooler(config, tuning.peft),
    base: await cardBase(settings.model),
    dataset: run.dataset,
    parameterCount: parameterCount(parameters),
    trainedCount: trainedCount(run),
    size,
  });
  await writeFileAtomically(join(outDir, "README.md"), card);
  await writeSeenTexts(outDir, Array.from(run.dataset.train, ({ text }) => text));
  await writeJson(join(outDir, METRICS_FILE), result.metrics);
  // Only now: an unfinished run goes on from them.
  if (!settings.keepOptimizer) await removeOptimizerStates(outDir);
}
