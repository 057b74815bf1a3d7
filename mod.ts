/**
 * Graft as a library: train, evaluate and classify from a program.
 *
 * ```ts
 * import { loadClassifier } from "./mod.ts";
 *
 * await using classifier = await loadClassifier("runs/titles");
 * const [scores] = await classifier.classify(["How to bake sourdough bread"]);
 * console.log(scores[0].label, scores[0].score);
 * ```
 *
 * Nothing here keeps state beside what it returns. Whatever holds a device is disposable: `await
 * using` frees it. A mistake in what is given is a {@link UserError}, a device that is not there a
 * {@link DeviceError}, and a run that its signal stopped a {@link TrainingInterrupted}.
 *
 * @module
 */
import type { Env, Hono } from "hono";
import type { z } from "zod";
import { type Columns, DEFAULT_COLUMNS } from "./data/columns.ts";
import { type DatasetOptions, SAMPLE_DIR } from "./data/dataset.ts";
import type { ProblemType } from "./data/labels.ts";
import { prepare as prepareTable, type PreparedDataset } from "./data/preparation/prepare.ts";
import { PREPARE_SETTINGS, type PrepareSettings } from "./data/preparation/prepare_settings.ts";
import { UserError } from "./lib/user_error.ts";
import { modelDir } from "./models/hub.ts";
import { type LabelScore, TextClassifier } from "./models/inference/text_classifier.ts";
import type { Dtype } from "./models/onnx_model.ts";
import type { Device } from "./onnx/runtime/device.ts";
import { Executor } from "./onnx/runtime/executor.ts";
import type { EvaluationReport } from "./training/evaluation.ts";
import { evaluateFile } from "./training/evaluate_file.ts";
import type { TrainEvent, TrainResult } from "./training/events.ts";
import {
  evaluationFileOf,
  newRunDir,
  readingOf,
  trainingTextsOf,
} from "./training/folder/run_folder.ts";
import { Service } from "./routes/service.ts";
import type { ServiceOptions } from "./routes/service_options.ts";
import { readTrainingData } from "./training/folder/training_data.ts";
import { TrainSettings } from "./training/settings.ts";
import type { TrainSettingsInput } from "./training/settings_input.ts";
import { train as trainRun } from "./training/train.ts";

export { apiKey } from "./routes/access.ts";
export { DeviceError } from "./onnx/runtime/device.ts";
export { TrainingInterrupted } from "./training/interrupted.ts";
export { UserError } from "./lib/user_error.ts";
export { METRICS } from "./training/metrics.ts";
export { SAMPLE_DIR };

export type { ApiKey, Scope } from "./routes/access.ts";
export type { Log, LogEntry } from "./routes/log.ts";
export type { ClusterOptions } from "./orchestration/cluster/connection.ts";
export type { Offer } from "./orchestration/cluster/jetstream_run_store.ts";
export type { MemberOptions } from "./orchestration/cluster/member.ts";
export type { BadRow } from "./data/bad_rows.ts";
export type { ReadOptions } from "./data/examples.ts";
export type { TableFormat } from "./data/table.ts";
export type { PreparedClass } from "./data/preparation/classes.ts";
export type { PreparedFile } from "./data/preparation/side_writer.ts";
export type { ChunkJoin, LongTextStrategy } from "./models/text/long_texts.ts";
export type { Mode } from "./models/tuners/tuner.ts";
export type { PartnerKind } from "./training/fit_partner.ts";
export type { Side } from "./data/preparation/split.ts";
export type { DownloadEvent } from "./models/hub.ts";
export type { Device };
export type { CoveragePoint } from "./training/calibration_error.ts";
export type { Compared, Headline, Metric, MetricOf } from "./training/metrics.ts";
export type { Rival } from "./training/verdict.ts";
export type {
  Breakdown,
  CalibrationErrors,
  ClassReport,
  Figures,
  MultiLabelReport,
  RegressionReport,
  ReportOf,
  SingleLabelReport,
} from "./training/evaluation.ts";
export type {
  CheckpointEvent,
  EncodingEvent,
  EvaluationEvent,
  FinishEvent,
  StartEvent,
  StepEvent,
} from "./training/events.ts";
export type {
  Columns,
  DatasetOptions,
  Dtype,
  EvaluationReport,
  LabelScore,
  PreparedDataset,
  PrepareSettings,
  ProblemType,
  ServiceOptions,
  TrainEvent,
  TrainResult,
  TrainSettingsInput,
};

/** Settings of {@link loadClassifier}. */
export interface LoadOptions {
  /** Where it is computed; `auto`, the default, takes a GPU, native code or WebAssembly, as there is. */
  device?: Device | "auto";
  /** Threads on the CPU; by default one for each logical core. */
  threads?: number;
  /** The longest time for one call, after which the classifier is ended; by default there is none. */
  timeoutMs?: number;
  /** How the weights are held: `fp32`, the default, or `q8`, a quarter of the size. */
  dtype?: Dtype;
}

/** A trained model on a device of its own. */
export interface Classifier extends AsyncDisposable {
  /** The model's folder. */
  readonly dir: string;
  /** The names of the classes, in the order of {@link scores}. */
  readonly labels: readonly string[];
  /** Whether a text has one class, several, or a number. */
  readonly problemType: ProblemType;
  /** From which score on each class counts, where a text may have several and they differ. */
  readonly thresholds: readonly number[] | undefined;
  /** The classes of each text with their probabilities, the highest first. */
  classify(texts: readonly string[]): Promise<LabelScore[][]>;
  /** The probability of each class, `[texts.length, labels.length]`. */
  scores(texts: readonly string[]): Promise<number[][]>;
}

/** The classifier that {@link loadClassifier} makes. */
class LoadedClassifier implements Classifier {
  readonly dir: string;
  readonly model: TextClassifier;
  readonly #executor: Executor;

  constructor(dir: string, model: TextClassifier, executor: Executor) {
    this.dir = dir;
    this.model = model;
    this.#executor = executor;
  }

  get labels(): readonly string[] {
    return this.model.labels;
  }

  get problemType(): ProblemType {
    return this.model.problemType;
  }

  get thresholds(): readonly number[] | undefined {
    return this.model.thresholds;
  }

  classify(texts: readonly string[]): Promise<LabelScore[][]> {
    return this.model.classify(texts);
  }

  scores(texts: readonly string[]): Promise<number[][]> {
    return this.model.scores(texts);
  }

  /** Frees the device. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#executor.close();
  }
}

/**
 * Loads a trained model, or an adapter with its base.
 *
 * @param model Its folder, or the name of a classifier on the Hugging Face hub, which is downloaded
 * once.
 * @throws {UserError} If there is no such model, or it cannot be used.
 * @throws {DeviceError} If the device is not there.
 */
export async function loadClassifier(
  model: string,
  { dtype = "fp32", device = "auto", threads, timeoutMs }: LoadOptions = {},
): Promise<Classifier> {
  const dir = await modelDir(model);
  const executor = await Executor.start({ device, threads, timeoutMs });
  try {
    return new LoadedClassifier(dir, await TextClassifier.load(executor, dir, dtype), executor);
  } catch (error) {
    await executor.close();
    throw error;
  }
}

/** Options of {@link train} beside the settings. */
export interface TrainOptions {
  /** The folder that becomes the model's; `runs/<date>-<mode>-<model>` by default. */
  outDir?: string;
  /** Whether the folder may hold a run already, which is replaced. */
  overwrite?: boolean;
  /** The columns of the texts and labels; those with usual names are found. */
  columns?: Columns;
  /** Whether bad rows of a table are left out that is to be split. */
  skipBadRows?: boolean;
  /** Called as the run goes on. */
  onEvent?: (event: TrainEvent) => void;
  /** Called with what one should know of the data. */
  onNote?: (note: string) => void;
  /** Stops the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Fine-tunes a classifier and writes its folder, as `deno task train` does.
 *
 * ```ts
 * import { train } from "./mod.ts";
 *
 * const { model_dir, metrics } = await train("tickets.csv", { mode: "full", epochs: 3 });
 * ```
 *
 * @param dataset A table of texts and labels, which is split by text; or a folder of a training, a
 * validation and perhaps a test file.
 * @param settings Those of the command line, in camelCase; each has a default.
 * @throws {UserError} If the data, a setting or the folder cannot be used.
 * @throws {TrainingInterrupted} If the signal aborts.
 */
export async function train(
  dataset: string,
  settings: TrainSettingsInput = {},
  { columns, skipBadRows = false, onNote = () => {}, ...options }: TrainOptions = {},
): Promise<TrainResult> {
  const checked = check(TrainSettings, settings);
  const outDir = options.outDir ?? newRunDir(checked);
  await using data = await readTrainingData(dataset, {
    settings: checked,
    outDir,
    skipBadRows,
    onNote,
    ...(columns !== undefined && { columns }),
  });
  const { dataset: rows, settings: read, keepData } = data;
  return await trainRun(rows, { ...options, settings: read, outDir, keepData });
}

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends Omit<DatasetOptions, "onNote"> {
  /** The columns of the texts and labels. */
  columns?: Columns;
}

/**
 * Measures a classifier on labelled texts, as `deno task eval` does: those that it was trained on are
 * told apart, where its folder says which they are.
 *
 * @param file A table; by default the test file of the data that the model was trained on.
 * @throws {UserError} If the file cannot be read, or has a label that the model cannot give.
 */
export async function evaluate(
  classifier: Classifier,
  file?: string,
  { columns, ...options }: EvaluateOptions = {},
): Promise<EvaluationReport & { samples_per_second: number }> {
  if (!(classifier instanceof LoadedClassifier)) {
    throw new TypeError("Cannot evaluate a classifier that loadClassifier() has not made");
  }
  const { dir, model } = classifier;
  const reading = await readingOf(dir);
  const { skipLabels, normalizeLabels = false } = reading.options;
  const { report } = await evaluateFile(
    model,
    file ?? await evaluationFileOf(dir),
    await trainingTextsOf(dir),
    columns ?? (file === undefined ? reading.columns : DEFAULT_COLUMNS),
    file === undefined ? reading.options : { skipLabels, normalizeLabels, ...options },
  );
  return report;
}

/** Options of {@link prepare} beside the settings. */
export interface PrepareOptions {
  /** Whether the folder may hold a data set already, which is replaced. */
  overwrite?: boolean;
  /** Called with what one should know of the table and its labels. */
  onNote?: (note: string) => void;
  /** Stops the work; nothing half-written is left. */
  signal?: AbortSignal;
}

/**
 * Splits a table into a folder for {@link train}, as `deno task data prepare` does: all rows of one
 * text come to one side.
 *
 * @throws {UserError} If the table or a setting cannot be used, or the folder is taken.
 */
export async function prepare(
  table: string,
  outDir: string,
  settings: PrepareSettings = {},
  options: PrepareOptions = {},
): Promise<PreparedDataset> {
  return await prepareTable(table, {
    ...options,
    settings: check(PREPARE_SETTINGS, settings),
    outDir,
  });
}

/** Graft's routes over a folder of runs and models, which is this process's until it is disposed of. */
export interface GraftApp extends AsyncDisposable {
  /** The routes: a Hono application, to be mounted in another or served alone. */
  readonly app: Hono<Env>;
  /** Resolves when it can predict at once; rejects if the device or a preloaded model fails. */
  readonly ready: Promise<void>;
  /**
   * Accepts no more requests, waits for the responses to accepted ones, and stops training, which
   * can be resumed. Disposing does this too.
   */
  stop(): Promise<void>;
}

/**
 * Opens a folder of runs and models as `deno task serve` does, without a socket.
 *
 * ```ts
 * import { Hono } from "hono";
 * import { createApp } from "./mod.ts";
 *
 * await using graft = await createApp({ runsDir: "runs", workers: 0 });
 * const app = new Hono().route("/graft", graft.app);
 * await graft.ready;
 * ```
 *
 * Where runs train (`workers`), the process needs the permission to start others. Without `apiKeys`
 * everyone who reaches the application may do everything; {@link apiKey} makes one.
 *
 * @throws {UserError} If another process has the folder.
 */
export async function createApp(options: ServiceOptions = {}): Promise<GraftApp> {
  return await Service.open(options);
}

/**
 * Settings that keep their rules, with their defaults.
 *
 * @throws {UserError} If one does not.
 */
function check<Settings>(schema: z.ZodType<Settings>, settings: object): Settings {
  const { data, error } = schema.safeParse(settings);
  if (data !== undefined) return data;
  const { path, message } = error!.issues[0]!;
  const value = JSON.stringify(Object(settings)[path[0]!]);
  throw new UserError(
    path.length === 0
      ? `Cannot use the settings: ${message}`
      : `Cannot use '${String(path[0])}' ${value}: ${message}`,
  );
}
