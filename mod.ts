/**
 * Graft as a library: train, evaluate and classify from a program.
 *
 * ```ts
 * import { loadClassifier } from "@graft/graft";
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
import type { Columns } from "./data/columns.ts";
import { SAMPLE_DIR } from "./data/dataset.ts";
import type { ProblemType } from "./data/labels.ts";
import { prepare as prepareTable, type PreparedDataset } from "./data/preparation/prepare.ts";
import { PREPARE_SETTINGS, type PrepareSettings } from "./data/preparation/prepare_settings.ts";
import type { TableFormat } from "./data/table.ts";
import { checkSettings } from "./lib/check_settings.ts";
import { UserError } from "./lib/user_error.ts";
import { modelDir } from "./models/hub.ts";
import { predictedClasses } from "./models/inference/inference.ts";
import { type LabelScore, TextClassifier } from "./models/inference/text_classifier.ts";
import type { Dtype } from "./models/onnx_model.ts";
import type { Device } from "./onnx/runtime/device.ts";
import { Executor } from "./onnx/runtime/executor.ts";
import type { EvaluationReport } from "./training/evaluation.ts";
import { evaluateFile } from "./training/evaluate_file.ts";
import type { TrainEvent, TrainResult } from "./training/events.ts";
import { newRunDir, readUnfinishedRun } from "./training/folder/run_folder.ts";
import { evaluationInput, trainingTextsOf } from "./training/folder/trained_on.ts";
import { Service } from "./routes/service.ts";
import type { ServiceOptions } from "./routes/service_options.ts";
import { readTrainingData } from "./training/folder/training_data.ts";
import { TrainSettings } from "./training/settings.ts";
import type { TrainSettingsInput } from "./training/settings_input.ts";
import { checkBeforeData, train as trainRun } from "./training/train.ts";

export { apiKey } from "./routes/access.ts";
export { DeviceError } from "./onnx/runtime/device.ts";
export { OutOfMemoryError } from "./onnx/runtime/device_memory.ts";
export { ExecutorEndedError } from "./onnx/runtime/executor.ts";
export { TrainingInterrupted } from "./training/interrupted.ts";
export { UserError } from "./lib/user_error.ts";
export { METRICS } from "./training/metrics.ts";
export { SAMPLE_DIR };

export type { ApiKey, Scope } from "./routes/access.ts";
export type { Log, LogEntry } from "./routes/log.ts";
export type { ClusterOptions } from "./orchestration/cluster/connection.ts";
export type { MemberOptions } from "./orchestration/cluster/member.ts";
export type { BadRow } from "./data/bad_rows.ts";
export type { PreparedClass } from "./data/preparation/classes.ts";
export type { PreparedFile } from "./data/preparation/side_writer.ts";
export type { ChunkJoin, LongTextStrategy } from "./models/text/long_texts.ts";
export type { Mode } from "./models/tuners/tuner.ts";
export type { MeasuredSplit } from "./training/evaluation.ts";
export type { PartnerKind } from "./models/partner/partner.ts";
export type { Side } from "./data/preparation/split.ts";
export type { DownloadEvent } from "./models/hub.ts";
export type { Device };
export type { CoveragePoint } from "./training/calibration_error.ts";
export type { Compared, Headline, Metric, MetricOf } from "./training/metrics.ts";
export type { Rival } from "./training/rival.ts";
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
  Dtype,
  EvaluationReport,
  LabelScore,
  PreparedDataset,
  PrepareSettings,
  ProblemType,
  ServiceOptions,
  TableFormat,
  TrainEvent,
  TrainResult,
  TrainSettingsInput,
};

/** Settings of {@link loadClassifier}. */
export interface LoadOptions {
  /** The device; `auto`, the default, is the first of a GPU, native code and WebAssembly that is there. */
  device?: Device | "auto";
  /** Threads on the CPU; by default one for each logical core. */
  threads?: number;
  /** The longest time for one call, after which the classifier is ended; by default there is none. */
  timeoutMs?: number;
  /** How the weights are held: `fp32`, the default, or `q8`, a quarter of the size. */
  dtype?: Dtype;
}

let textClassifierOf: (classifier: Classifier) => TextClassifier;
let newClassifier: (dir: string, model: TextClassifier, executor: Executor) => Classifier;

/**
 * A trained model on a device of its own, made by {@link loadClassifier}. Calls that the device does
 * not survive reject with an {@link ExecutorEndedError}, those that need too much memory with an
 * {@link OutOfMemoryError}.
 */
export class Classifier implements AsyncDisposable {
  /** The model's folder. */
  readonly dir: string;
  readonly #model: TextClassifier;
  readonly #executor: Executor;

  static {
    textClassifierOf = (classifier) => classifier.#model;
    newClassifier = (dir, model, executor) => new Classifier(dir, model, executor);
  }

  private constructor(dir: string, model: TextClassifier, executor: Executor) {
    this.dir = dir;
    this.#model = model;
    this.#executor = executor;
  }

  /** The names of the classes, in the order of {@link scores}. */
  get labels(): readonly string[] {
    return this.#model.labels;
  }

  /** Whether a text has one class, several, or a number. */
  get problemType(): ProblemType {
    return this.#model.problemType;
  }

  /**
   * The scores from which classes are predicted where a text may have several; `undefined` if 0.5 is
   * that of all.
   */
  get thresholds(): readonly number[] | undefined {
    return this.#model.thresholds;
  }

  /** The classes of each text with their probabilities, the highest first. */
  classify(texts: readonly string[]): Promise<LabelScore[][]> {
    return this.#model.classify(texts);
  }

  /**
   * The classes that are predicted for each text: the likeliest one, or where a text may have several
   * all that reach their thresholds. A model of numbers predicts none: {@link scores} has them.
   */
  async predict(texts: readonly string[]): Promise<string[][]> {
    const scores = await this.#model.scores(texts);
    return scores.map((row) =>
      predictedClasses(row, this.#model).map((index) => this.labels[index]!)
    );
  }

  /** The probability of each class, or the numbers, `[texts.length, labels.length]`. */
  scores(texts: readonly string[]): Promise<number[][]> {
    return this.#model.scores(texts);
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
    return newClassifier(dir, await TextClassifier.load(executor, dir, dtype), executor);
  } catch (error) {
    await executor.close();
    throw error;
  }
}

/** Options of {@link resumeTraining}. */
export interface ResumeOptions {
  /** Called as the run goes on. */
  onEvent?: (event: TrainEvent) => void;
  /** Called with notes on the data. */
  onNote?: (note: string) => void;
  /** Stops the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
}

/** Options of {@link train} beside the settings. */
export interface TrainOptions extends ResumeOptions {
  /** The folder that becomes the model's; `runs/<date>-<mode>-<model>` by default. */
  outDir?: string;
  /** Whether the folder may hold a run already, which is replaced. */
  overwrite?: boolean;
  /** The columns of the texts and labels; those with usual names are found. */
  columns?: Columns;
  /** Whether bad rows of a table are left out that is to be split. */
  skipBadRows?: boolean;
}

/**
 * Fine-tunes a classifier and writes its folder, as `deno task train` does.
 *
 * ```ts
 * import { train } from "@graft/graft";
 *
 * const { model_dir, metrics } = await train("tickets.csv", { mode: "full", epochs: 3 });
 * ```
 *
 * @param dataset A table of texts and labels, which is split by text; or a folder of a training, a
 * validation and perhaps a test file.
 * @param settings Those of the command line, in camelCase; each has a default.
 * @throws {UserError} If the data, a setting or the folder cannot be used.
 * @throws {DeviceError} If the device is not there.
 * @throws {TrainingInterrupted} If the signal aborts; the signal's reason, if it does so while the
 * base is downloaded.
 */
export async function train(
  dataset: string,
  settings: TrainSettingsInput = {},
  options: TrainOptions = {},
): Promise<TrainResult> {
  const checked = check(TrainSettings, settings);
  const outDir = options.outDir ?? newRunDir(checked);
  return await trainOn(dataset, checked, { ...options, outDir, resume: false });
}

/**
 * Goes on with a run that was stopped, as `deno task train --resume` does: it ends with the same
 * weights as one that was never stopped.
 *
 * @param outDir The run's folder.
 * @throws {UserError} If the folder holds no run that can go on, or its data have changed.
 * @throws The other errors of {@link train}.
 */
export async function resumeTraining(
  outDir: string,
  options: ResumeOptions = {},
): Promise<TrainResult> {
  const { settings, dataDir } = await readUnfinishedRun(outDir);
  return await trainOn(dataDir, settings, { ...options, outDir, resume: true });
}

async function trainOn(
  dataset: string,
  settings: TrainSettings,
  { columns, skipBadRows = false, onNote = () => {}, ...options }: TrainOptions & {
    outDir: string;
    resume: boolean;
  },
): Promise<TrainResult> {
  const { outDir } = options;
  await checkBeforeData(settings, options);
  await using data = await readTrainingData(dataset, {
    ...{ settings, outDir, skipBadRows, onNote },
    ...(columns !== undefined && { columns }),
  });
  const { dataset: rows, settings: read, keepData } = data;
  return await trainRun(rows, { ...options, settings: read, keepData });
}

/** Options of {@link evaluate}: how the file is read, by default as the training data were. */
export interface EvaluateOptions extends TableFormat {
  /** The columns of the texts and labels; those with usual names are found. */
  columns?: Columns;
  /** The labels of rows that are left out, separated by commas. */
  skipLabels?: string;
  /** Whether labels that mean the same as a class of the model, in another spelling, are that class. */
  normalizeLabels?: boolean;
  /** Called with notes on the file. */
  onNote?: (note: string) => void;
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
  options: EvaluateOptions = {},
): Promise<EvaluationReport & { samples_per_second: number }> {
  const { dir } = classifier;
  const input = await evaluationInput(dir, file, options);
  const { report } = await evaluateFile(
    textClassifierOf(classifier),
    input.file,
    await trainingTextsOf(dir),
    input.columns,
    input.options,
  );
  return report;
}

/** Options of {@link prepare} beside the settings. */
export interface PrepareOptions {
  /** The folder that is made. */
  outDir: string;
  /** Whether the folder may hold a data set already, which is replaced. */
  overwrite?: boolean;
  /** Called with notes on the table and its labels. */
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
  settings: PrepareSettings,
  options: PrepareOptions,
): Promise<PreparedDataset> {
  return await prepareTable(table, { ...options, settings: check(PREPARE_SETTINGS, settings) });
}

/** Graft's routes over a folder of runs and models, which is this process's until it is disposed of. */
export interface GraftApp extends AsyncDisposable {
  /**
   * The routes: a Hono application, to be mounted in another or served alone. Typed clients are made
   * from its `/openapi.json`.
   */
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
 * import { createApp } from "@graft/graft";
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
  const spell = (key: string, value: unknown) => `'${key}' ${JSON.stringify(value)}`;
  return checkSettings(schema, settings, {
    spell,
    refuse: (key, rule) =>
      new UserError(
        key === undefined
          ? `Cannot use the settings: ${rule}`
          : `Cannot use ${spell(key, Object(settings)[key])}: ${rule}`,
      ),
  });
}
