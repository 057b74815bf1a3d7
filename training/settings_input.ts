/**
 * The settings of a training run as a program gives them.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import type { ChunkJoin, LongTextStrategy } from "../models/text/long_texts.ts";
import type { Mode } from "../models/tuners/tuner.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type { PartnerKind } from "../models/partner/partner.ts";
import type { Compared } from "./metrics.ts";

/**
 * The settings of a run; all have defaults. The help of `deno task train` says more about each, under
 * its name in kebab-case.
 */
export interface TrainSettingsInput {
  /** The weights to train: all, `full`, or those of an adapter on a frozen base. */
  mode?: Mode | undefined;
  /** The base: `bundled`, a folder, a name on the hub, or random weights, such as `scratch:tiny`. */
  model?: string | undefined;
  /** The kind of the labels; one class a text by default. */
  problemType?: ProblemType | undefined;
  /** Passes over the training file; by default as the mode, the base and the data need. */
  epochs?: number | undefined;
  /** The steps after which training stops; by default those of all epochs. */
  maxSteps?: number | undefined;
  /** Texts in a batch; 16 by default. */
  batchSize?: number | undefined;
  /** Batches whose gradients are accumulated for one step; 1 by default. */
  gradientAccumulationSteps?: number | undefined;
  /** The most memory that a micro-batch takes beside the parameters, in MiB. */
  stepMemory?: number | undefined;
  /** Whether layers keep only their input and compute the rest again in the backward pass. */
  gradientCheckpointing?: boolean | undefined;
  /** The highest learning rate; by default as the mode and the base need. */
  learningRate?: number | undefined;
  /** The share of the steps over which the learning rate rises; 0.1 by default. */
  warmupRatio?: number | undefined;
  /** Decoupled weight decay; 0.01 by default. */
  weightDecay?: number | undefined;
  /** The norm to which gradients are clipped; 1 by default. */
  maxGradNorm?: number | undefined;
  /** The probability of dropout; 0.1 by default. */
  dropout?: number | undefined;
  /** The columns of the data where they have other names: `text=title,label=category`. */
  columnMapping?: string | undefined;
  /** The character between two fields of a table, or `tab`; by default it is found. */
  delimiter?: string | undefined;
  /** The encoding of tables; by default UTF-8, or that of a byte-order mark. */
  encoding?: string | undefined;
  /** The labels of rows to leave out, separated by commas. */
  skipLabels?: string | undefined;
  /** Whether labels that differ only in case, spaces or Unicode form are one. */
  normalizeLabels?: boolean | undefined;
  /** The most tokens that the model takes of a text; 256 by default. */
  maxLength?: number | undefined;
  /** The treatment of longer texts; `truncate` by default. */
  longTexts?: LongTextStrategy | undefined;
  /** The tokens that a chunk shares with the next; an eighth of `maxLength` by default. */
  stride?: number | undefined;
  /** How the logits of chunks become those of their text; `mean` by default. */
  chunkJoin?: ChunkJoin | undefined;
  /** The size of a sample to train on; by default all examples. */
  maxTrainSamples?: number | undefined;
  /** Parameters that are not trained: names with `*`, separated by commas. */
  freeze?: string | undefined;
  /** Virtual tokens of a prefix or prompt; 16 by default. */
  prefixLength?: number | undefined;
  /** Whether a prefix is trained through a network, which is not kept. */
  prefixProjection?: boolean | undefined;
  /** The width of that network's hidden layer; 512 by default. */
  prefixHiddenSize?: number | undefined;
  /** Where virtual tokens start: `random`, `vocab`, or an adapter's folder or file. */
  initFrom?: string | undefined;
  /** The rank of LoRA's products; 8 by default. */
  loraRank?: number | undefined;
  /** The factor of LoRA's products, before they are divided by the rank; 16 by default. */
  loraAlpha?: number | undefined;
  /** The probability of dropout before LoRA's products; 0 by default. */
  loraDropout?: number | undefined;
  /** The layers that LoRA changes, separated by commas, or `all-linear`; `query,value` by default. */
  loraTargets?: string | undefined;
  /** A model beside the network, kept where it helps; `ngrams` by default. */
  partner?: PartnerKind | undefined;
  /** The share of the targets that n-grams give, from 0 to 1; 0 by default. */
  distillation?: number | undefined;
  /** The epochs without a better one after which training stops; by default it goes on. */
  patience?: number | undefined;
  /** The measure of the best epoch; by default as the kind of problem needs. */
  metric?: Compared | undefined;
  /** The weights of classes in the loss: `balanced`, `sqrt` or `NAME=WEIGHT,…`. */
  classWeights?: string | undefined;
  /** Whether each epoch takes the examples in a new order; true by default. */
  shuffle?: boolean | undefined;
  /** The seed of weights, order and dropout; 11 by default. */
  seed?: number | undefined;
  /** Steps from one checkpoint to the next; by default those of an epoch. */
  saveSteps?: number | undefined;
  /** The newest checkpoints to keep beside the best; 1 by default. */
  saveTotalLimit?: number | undefined;
  /** Whether a finished run keeps the optimizer's moments. */
  keepOptimizer?: boolean | undefined;
  /** The license that the model card names; by default that of the base. */
  license?: string | undefined;
  /** The device that trains; `auto`, the default, takes the fastest that is there. */
  device?: Device | "auto" | undefined;
  /** Threads on the CPU; by default one for each core. */
  threads?: number | undefined;
}
