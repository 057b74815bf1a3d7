/**
 * The settings of a training run. The command line, the server and `training_args.json` all take
 * their names, limits and descriptions from here.
 *
 * @module
 */
import { z } from "zod";
import { DEVICES } from "../onnx/runtime/device.ts";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { DELIMITER, ENCODING, NORMALIZE_LABELS, SKIP_LABELS } from "../data/table_settings.ts";
import type { NeededSetting } from "../lib/check_settings.ts";
import { between, positive, whole } from "../lib/number_schemas.ts";
import type { SchemasOf } from "../lib/schemas_of.ts";
import { bert } from "../models/families/bert.ts";
import type { Family } from "../models/family.ts";
import { BUNDLED_MODEL, SCRATCH_MODELS, scratchSizeOf } from "../models/own_models.ts";
import { PARTNERS } from "../models/partner/partner.ts";
import { CHUNK_JOINS, LONG_TEXTS, type LongTexts } from "../models/text/long_texts.ts";
import {
  MODES,
  needsBase,
  type RateAndEpochs,
  TUNER_SETTINGS,
  tunerOf,
  TUNERS,
} from "../models/tuners/tuner.ts";
import { CLASS_WEIGHTS } from "./class_weights.ts";
import { COMPARED, isMetricOf, METRICS } from "./metrics.ts";
import type { TrainSettingsInput } from "./settings_input.ts";

/** The name of a model; one that begins with `scratch:` must be a known one. */
export const MODEL = z.string().refine(
  (model) => !model.startsWith("scratch:") || scratchSizeOf(model) !== undefined,
  `there are ${SCRATCH_MODELS.join(", ")}`,
);

/** Describes the tuners that need a base, or those that do not, each with what it trains. */
function describeTuners(needBase: boolean): string {
  return TUNERS.filter(({ mode }) => needsBase(mode) === needBase)
    .map(({ mode, trains }) => `${mode} = ${trains}`)
    .join(", ");
}

/** The schemas of all settings. */
const SHAPE = {
  mode: z.enum(MODES).default("full").describe(
    `The weights to train: ${describeTuners(false)}; or the head and, beside a frozen base: ${
      describeTuners(true)
    }`,
  ),
  model: MODEL.default(BUNDLED_MODEL).describe(
    "The base: the one that comes with Graft (bundled), a folder, a name on the Hugging Face hub (NAME or OWNER/NAME, with " +
      "@REVISION if it is not main), or random weights in 2 layers of 128 (scratch:tiny), " +
      "4 of 256 (scratch:mini) or 4 of 512 (scratch:small)",
  ),
  problemType: z.enum(PROBLEM_TYPES).default("single_label_classification").describe(
    "Kind of the labels: the name of a class, names joined by | (empty for none), or a number",
  ),
  epochs: whole(1, 1000).optional().describe(
    "Passes over the training file; default: 6 on the bundled base, 4 on another, up to 20 on few " +
      "texts, until there are 200 steps and 20 for each class; 8 from random weights; 20 for a " +
      "prefix or prompt, 30 for a prefix on the bundled base, 10 for LoRA",
  ),
  maxSteps: whole(1).optional().describe("Stop after this many optimizer steps"),
  batchSize: whole(1, 1024).default(16).describe("Texts in a batch"),
  gradientAccumulationSteps: whole(1, 1024).default(1)
    .describe("Batches whose gradients are accumulated for one step"),
  stepMemory: whole(1).optional().describe(
    "The most memory that a micro-batch takes beside the parameters, MiB: a batch that needs more is " +
      "split into micro-batches whose gradients are accumulated; default: 1024, or less where less " +
      "is free",
  ),
  gradientCheckpointing: z.boolean().default(false).describe(
    "Keep only each layer's input and compute the rest again in the backward pass: less memory, " +
      "more time",
  ),
  learningRate: positive(1).optional().describe(
    "The highest learning rate; default: 5e-4 on the bundled base; on another 5e-5 if it is 768 " +
      "wide, and more if it is narrower (2e-4 at 384); 1e-3, 5e-4 or 3e-4 from random weights, by " +
      "size; 2e-2 for a prefix, 4e-2 for one on the bundled base, 1e-4 for one with projection, " +
      "1e-2 for a prompt, 2e-3 for LoRA",
  ),
  warmupRatio: between(0, 1).default(0.1)
    .describe("Share of the steps over which the learning rate rises"),
  weightDecay: between(0, 1).default(0.01).describe("Decoupled weight decay"),
  maxGradNorm: positive().default(1).describe(
    "The norm to which gradients are clipped",
  ),
  dropout: between(0, 0.9).default(0.1).describe("Dropout probability"),
  columnMapping: z.string().optional()
    .describe("The columns of the data where they have other names: text=title,label=category"),
  delimiter: DELIMITER,
  encoding: ENCODING,
  skipLabels: SKIP_LABELS,
  normalizeLabels: NORMALIZE_LABELS,
  maxLength: whole(3, 512).default(256).describe("The most tokens that the model takes of a text"),
  longTexts: z.enum(LONG_TEXTS).default("truncate").describe(
    "The treatment of longer texts: truncate = drop the end, head-tail = keep a quarter from the " +
      "start and the rest from the end, chunk = train and predict in pieces, whose logits are joined",
  ),
  stride: whole(0, 510).optional().describe(
    "Tokens that a chunk has in common with the next; default: an eighth of a chunk",
  ),
  chunkJoin: z.enum(CHUNK_JOINS).default("mean").describe(
    "How the logits of chunks become those of their text",
  ),
  maxTrainSamples: whole(1).optional()
    .describe("Train on this many examples only: a sample by seed that keeps the classes' shares"),
  freeze: z.string().max(1000).optional()
    .describe(
      "Parameters that are not trained: names, in which * stands for anything, separated by commas",
    ),
  ...TUNER_SETTINGS,
  partner: z.enum(PARTNERS).default("ngrams").describe(
    "A model beside the network, kept where it helps on the validation file: a linear one on " +
      "n-grams of words and characters, whose logits are added",
  ),
  distillation: between(0, 1).default(0).describe(
    "The share of what the network is taught that n-grams give, learned from the other texts; on few " +
      "texts a network that is used without its partner does better with 0.5",
  ),
  patience: whole(1).optional().describe(
    "Stop after this many epochs without a better one",
  ),
  metric: z.enum(COMPARED).optional().describe(
    "The measure on the validation file by which the best epoch is chosen; default: f1_macro for " +
      "one class a text, f1_micro for several, mse for numbers",
  ),
  classWeights: CLASS_WEIGHTS.optional().describe(
    "The weight of the classes in the loss: balanced = all classes count the same, sqrt = half-way " +
      "there, or NAME=WEIGHT,… and 1 for the others; default: all texts count the same",
  ),
  shuffle: z.boolean().default(true).meta({
    description: "Take the examples in a new order each epoch",
    negative: "Take the examples in the order of the file",
  }),
  seed: whole(0, 2 ** 32 - 1).default(11)
    .describe("The seed of weights, order and dropout"),
  saveSteps: whole(1).optional()
    .describe(
      "Steps from one checkpoint to the next; default: those of an epoch, and after 5 minutes",
    ),
  saveTotalLimit: whole(1, 1000).default(1).describe("Newest checkpoints to keep beside the best"),
  keepOptimizer: z.boolean().default(false).describe(
    "Keep the optimizer's moments in the checkpoints when the run is over: two files' worth of weights",
  ),
  license: z.string().regex(/^[\w.+-]+$/, "must be one word, such as apache-2.0").optional()
    .describe(
      "The license that the model card names, such as apache-2.0; default: that of the base, where it is known",
    ),
  device: z.enum(["auto", ...DEVICES]).default("auto").describe(
    "Where to train; auto = a GPU, else native code where it is installed, else wasm",
  ),
  threads: whole(1, 256).optional().describe("CPU threads; default: all cores"),
} satisfies SchemasOf<TrainSettingsInput>;

/** The schema of {@link TrainSettings}, with the rules between settings. */
export const TrainSettings = z.strictObject(SHAPE).superRefine((settings, context) => {
  const fault = (key: string, message: string, needs?: NeededSetting) =>
    context.addIssue({ code: "custom", path: [key], message, params: { needs } });
  const { problemType, metric, classWeights } = settings;
  if (metric !== undefined && metric !== "loss" && !isMetricOf(metric, problemType)) {
    const known = METRICS[problemType].join(", ");
    fault("metric", `a ${problemType} is measured by ${known}, loss`);
  }
  if (classWeights !== undefined && problemType !== "single_label_classification") {
    fault("classWeights", `it needs one class a text, and the problem is ${problemType}`);
  }
  for (const { key, message, needs } of tunerOf(settings.mode).faults(settings)) {
    fault(key, message, needs);
  }
  if (settings.distillation > 0 && problemType !== "single_label_classification") {
    fault("distillation", `it needs one class a text, and the problem is ${problemType}`);
  }
  const { longTexts, stride, chunkJoin, maxLength } = settings;
  if (longTexts !== "chunk") {
    const needs = { key: "longTexts", value: "chunk" };
    if (stride !== undefined) fault("stride", "goes with", needs);
    if (chunkJoin !== "mean") fault("chunkJoin", "goes with", needs);
  } else if (stride !== undefined && stride > maxLength - 3) {
    fault("stride", `must leave a token of a chunk that is new: at most ${maxLength - 3}`);
  }
});

/** The settings of a run with the defaults filled in. */
export type TrainSettings = z.infer<typeof TrainSettings>;

/** The options for texts that are too long, from the settings. */
export function longTextsOf(
  { longTexts: strategy, stride, chunkJoin: join, maxLength }: TrainSettings,
): LongTexts {
  return { strategy, stride: stride ?? Math.floor(maxLength / 8), join };
}

/** The size of a data set, as far as defaults depend on it. */
export interface DataSize {
  /** Texts for training. */
  examples: number;
  /** Outputs of the head. */
  labels: number;
}

/** The fewest steps of a pretrained base that is trained whole. */
const LEAST_STEPS = 200;
/** The fewest steps for each label: on 44 classes of 23 texts 3 epochs were far too few. */
const LEAST_STEPS_A_LABEL = 20;
/** The most epochs over few texts. */
const MOST_EPOCHS = 20;

/**
 * The settings with the learning rate and number of epochs that suit the mode, the model and the
 * data. Few texts, or few for each label, need more epochs: steps count.
 *
 * @param family The family of the model, where it is known already.
 * @param data The size of the data, where it is known already.
 */
export function withModelDefaults(
  settings: TrainSettings,
  family: Pick<Family, "defaults"> = bert,
  data: DataSize = { examples: Infinity, labels: 0 },
): TrainSettings & RateAndEpochs {
  const { learningRate, epochs, ...rest } = settings;
  const defaults = tunerOf(settings.mode).defaults(settings, family);
  const isWhole = settings.mode === "full" && scratchSizeOf(settings.model) === undefined;
  const stepsPerEpoch = data.examples / (settings.batchSize * settings.gradientAccumulationSteps);
  const leastSteps = Math.max(LEAST_STEPS, LEAST_STEPS_A_LABEL * data.labels);
  const needed = Math.min(MOST_EPOCHS, Math.ceil(leastSteps / stepsPerEpoch));
  return {
    ...rest,
    learningRate: learningRate ?? defaults.learningRate,
    epochs: epochs ?? (isWhole ? Math.max(defaults.epochs, needed) : defaults.epochs),
  };
}
