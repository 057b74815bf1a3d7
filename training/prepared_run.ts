/**
 * The preparation of a run: everything that is there before its first step, or before the next one
 * of a run that is resumed.
 *
 * @module
 */
import { basename } from "node:path";
import { type Dataset, digestOf } from "../data/dataset.ts";
import { type Examples, labelsOfRows } from "../data/example_file.ts";
import { classNames, type Problem } from "../data/labels.ts";
import { leakageLine } from "../data/preparation/leakage.ts";
import { count, counted, listOf } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { familyOf, tuningDefaults } from "../models/family.ts";
import { type ModelConfig, problemOf } from "../models/formats/config.ts";
import type { Tokenizer } from "../models/text/tokenizer.ts";
import type { RateAndEpochs } from "../models/tuners/tuner.ts";
import { frozenBase } from "../models/parameters.ts";
import type { Weights } from "../models/weights.ts";
import { Executor, type RemoteTrainingSession } from "../onnx/runtime/executor.ts";
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { classWeights } from "./class_weights.ts";
import type { TrainEvent } from "./events.ts";
import { type EncodedExample, trainingRows } from "./encoded_examples.ts";
import { lastCheckpoint, readTrainerState, restoreMoments } from "./folder/checkpoints.ts";
import { checkOutDir, lockRun, prepareOutDir, readUnfinishedRun } from "./folder/run_folder.ts";
import { TrainerState } from "./folder/trainer_state.ts";
import { writeTrainingArgs } from "./folder/training_args.ts";
import { frozenParameters } from "./freeze.ts";
import { MOST_AT_ONCE } from "./encoded_texts.ts";
import { trainingGraphs } from "./graphs.ts";
import { initialModel, resumedModel, type Tuning } from "./initial_model.ts";
import { optimizerOf } from "./optimizer.ts";
import { type PartsPlan, planParts } from "./parts.ts";
import { softTargets } from "./soft_targets.ts";
import { longTextsOf, type TrainSettings, withModelDefaults } from "./settings.ts";
import { type StepPlan, stepPlan } from "./step_plan.ts";
import { type TrainingTexts, trainingTexts } from "./training_texts.ts";

/** Options of a run. */
export interface RunOptions {
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

/** The model that a run trains, before its weights are on the device. */
interface StartingModel {
  /** The settings, with the defaults that suit the model and the data. */
  settings: TrainSettings & RateAndEpochs;
  config: ModelConfig;
  problem: Problem;
  tokenizer: Tokenizer;
  weights: Weights;
  /** The names of the parameters that are not trained. */
  frozen: ReadonlySet<string>;
  /** Present where an adapter is trained on a frozen base. */
  tuning?: Tuning;
  /** Notes for the user on how the model was made. */
  notes: readonly string[];
}

/** A run that is ready for its next step. */
export interface PreparedRun extends Omit<StartingModel, "weights"> {
  name: string;
  outDir: string;
  /** The data set, with the rows of its training file that the run is trained on. */
  dataset: Dataset;
  /** The number of held-out texts among these rows, in a sentence. */
  leakage: string;
  texts: TrainingTexts;
  /** Encodes the validation file, once. */
  encodedValidation(): Promise<EncodedExample[]>;
  /** The weight of each class in the loss; `undefined` if all texts weigh the same. */
  lossWeights: number[] | undefined;
  plan: StepPlan;
  parts: PartsPlan;
  parameters: readonly ParameterShape[];
  /** The names of the parameters that are trained. */
  trained: string[];
  executor: Executor;
  session: RemoteTrainingSession;
  state: TrainerState;
  onEvent: (event: TrainEvent) => void;
  signal: AbortSignal | undefined;
}

/**
 * Prepares a run: its model and texts, the graphs on the device, the folder and the state.
 *
 * @param resources Given all that the run holds until it ends.
 * @throws {UserError} If the folder is taken, or the settings do not suit the model or the data.
 */
export async function prepareRun(
  dataset: Dataset,
  options: RunOptions,
  resources: AsyncDisposableStack,
): Promise<PreparedRun> {
  const { outDir, overwrite = false, resume = false, onEvent = () => {} } = options;
  if (!resume) await checkOutDir(outDir, { overwrite });
  // The device takes seconds to start; the data are gone through meanwhile.
  const starting = Executor.start(options.settings);
  resources.defer(async () => await (await starting.catch(() => {}))?.[Symbol.asyncDispose]());
  const sampled = { ...dataset, train: trainingRows(dataset.train, options.settings) };
  const stopped = resume ? await stoppedRun(outDir, dataset, resources) : undefined;
  const checkpoint = stopped?.checkpoint;
  const { weights, ...model } = await startingModel(sampled, options, checkpoint);
  const { settings, config, problem, tokenizer, frozen, tuning } = model;

  const encoding = trainingTexts(sampled.train, {
    tokenizer,
    problem,
    softTargets: softTargetsOf(sampled.train, problem, settings),
    onProgress: (texts) => onEvent({ type: "encoding", texts, total: sampled.train.length }),
  });
  // While the device and the Workers start.
  const source = stopped?.source ?? sourceOf(dataset);
  const texts = resources.use(await encoding);
  const lossWeights = lossWeightsOf(texts, settings, dataset.labels);

  const graphs = trainingGraphs(config, frozen, tuning?.peft, settings.gradientCheckpointing);
  const executor = await starting;
  const parts = await planParts({
    ...settings,
    device: executor.choice.device,
    lifetimes: graphs.lifetimes,
    dimensions: (batch, length) => ({ batch, length }),
    lengths: texts.possibleLengths,
  });
  const loading = executor.loadTrainingSession(graphs, weights, {
    optimizer: optimizerOf(settings),
    dropoutSeed: settings.seed,
    largestDimensions: parts.largest,
  });
  // An error is thrown where it is awaited.
  loading.catch(() => {});
  const leakage = leakageLine(sampled);
  const session = await loading;

  const planned = { ...settings, stepMemory: parts.stepMemory };
  await takeFolder(options, () => writeTrainingArgs(outDir, planned, source), resources);
  const plan = stepPlan(texts.lengths.length, settings);
  const trained = graphs.gradients.map(({ parameter }) => parameter);
  const stored = checkpoint === undefined ? undefined : await readTrainerState(checkpoint);
  if (checkpoint !== undefined) await restoreMoments(checkpoint, session, trained);
  let validation: Promise<EncodedExample[]> | undefined;
  return {
    ...model,
    notes: [...model.notes, ...sampleNotes(sampled.train, dataset.train, problem)],
    name: options.name ?? basename(outDir),
    outDir,
    dataset: sampled,
    leakage,
    texts,
    encodedValidation: () => validation ??= texts.encode(dataset.validation),
    lossWeights,
    plan,
    parts,
    parameters: graphs.parameters,
    trained,
    executor,
    session,
    state: new TrainerState(settings, plan.stepsPerEpoch, stored),
    onEvent,
    signal: options.signal,
  };
}

/** Says which classes no row was sampled of. */
function sampleNotes(sampled: Examples, all: Examples, { labels, problemType }: Problem): string[] {
  if (sampled === all || problemType === "regression") return [];
  const there = new Set(
    [...labelsOfRows(sampled)].flatMap((label) => classNames(label, problemType)),
  );
  const absent = labels.filter((name) => !there.has(name));
  if (absent.length === 0) return [];
  const names = listOf(absent.map((name) => `'${name}'`));
  return [`Sampling ${counted(sampled.length, "row")} to train on leaves none of ${names}`];
}

/** The data of a run, as its arguments have them. */
interface DataSource {
  dir: string;
  sha256: string;
}

function sourceOf(dataset: Dataset): DataSource {
  return { dir: dataset.dir, sha256: digestOf(dataset) };
}

/**
 * Locks the folder of a run that was stopped, and finds the checkpoint from which it goes on;
 * `undefined` if it was stopped before its first.
 *
 * @throws {UserError} If there is nothing to resume, or the data are not those of the run.
 */
async function stoppedRun(
  outDir: string,
  dataset: Dataset,
  resources: AsyncDisposableStack,
): Promise<{ source: DataSource; checkpoint: string | undefined }> {
  const { dataSha256 } = await readUnfinishedRun(outDir);
  resources.use(await lockRun(outDir));
  const source = sourceOf(dataset);
  if (dataSha256 !== source.sha256) {
    throw new UserError(`Cannot resume '${outDir}': the data in '${source.dir}' have changed`);
  }
  return { source, checkpoint: await lastCheckpoint(outDir) };
}

/** Makes the folder that of this run, whose arguments it then has. */
async function takeFolder(
  { outDir, overwrite = false, resume = false, keepData }: RunOptions,
  writeArgs: () => Promise<void>,
  resources: AsyncDisposableStack,
): Promise<void> {
  // The data may have moved.
  if (resume) return await writeArgs();
  // Only now: a mistake in the settings must not cost the run that is overwritten.
  resources.use(await lockRun(outDir));
  const writeDataAndArgs = async () => {
    await keepData?.();
    await writeArgs();
  };
  await prepareOutDir(outDir, writeDataAndArgs, { overwrite });
}

/** Makes the model that the settings describe, or loads that of a checkpoint. */
async function startingModel(
  { train, labels }: Dataset,
  { settings: given, onEvent, signal }: RunOptions,
  checkpoint: string | undefined,
): Promise<StartingModel> {
  const downloads = { onDownload: onEvent, signal };
  const model = checkpoint === undefined
    ? await initialModel(given, labels, textsOf(train), downloads)
    : await resumedModel(checkpoint, given, labels, downloads);
  const defaults = tuningDefaults(model.config);
  const size = { examples: train.length, labels: labels.length };
  const settings = withModelDefaults(given, { defaults }, size);
  const config = {
    ...familyOf(model.config).withDropout(model.config, settings.dropout),
    problem_type: settings.problemType,
  };
  return {
    ...model,
    settings,
    config,
    problem: problemOf(config),
    tokenizer: model.tokenizer.withLongTexts(longTextsOf(settings)),
    frozen: model.tuning === undefined
      ? frozenParameters(settings.freeze, Object.keys(model.weights))
      : frozenBase(config, model.tuning.peft),
  };
}

function* textsOf(rows: Examples): Generator<string> {
  for (const { text } of rows) yield text;
}

/** @throws {UserError} If there are too many texts to learn their n-grams several times over. */
function softTargetsOf(
  train: Examples,
  problem: Problem,
  { distillation }: TrainSettings,
): number[][] | undefined {
  if (distillation === 0) return undefined;
  if (train.length > MOST_AT_ONCE) {
    throw new UserError(
      `Cannot use --distillation ${distillation}: there are ${count(train.length)} texts for ` +
        `training, and it takes at most ${count(MOST_AT_ONCE)}; use 0`,
    );
  }
  return softTargets([...train], problem, distillation);
}

function lossWeightsOf(
  texts: TrainingTexts,
  settings: TrainSettings,
  labels: readonly string[],
): number[] | undefined {
  if (settings.classWeights === undefined) return undefined;
  const classes = Array.from(texts.lengths, (_, row) => texts.target(row)[0]!);
  return classWeights(settings.classWeights, classes, labels);
}
