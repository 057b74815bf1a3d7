/**
 * The parts of a step: the user says how large a batch is, the device how large a part. A batch
 * that takes more memory than a part may is cut; the losses and gradients of its parts add up to
 * its own.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import { type Lifetime, peakBytes } from "../onnx/graph/memory.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type { TrainingGraphs } from "../onnx/runtime/executor.ts";
import { deviceMemory, type OutOfMemoryError } from "../onnx/runtime/device_memory.ts";

/** The graphs of a model in training, and the tensors by which its memory is planned. */
export interface PlannedGraphs extends TrainingGraphs {
  /** The tensors of the training graph. */
  lifetimes: Lifetime[];
}

/** Options of {@link planParts}. */
export interface PartsOptions {
  device: Device;
  /** The tensors of the training graph. */
  lifetimes: readonly Lifetime[];
  /** The values of the symbols in their shapes, for `batch` texts of `length` tokens. */
  dimensions: (batch: number, length: number) => Record<string, number>;
  /** The number of tokens of each text. */
  lengths: readonly number[];
  batchSize: number;
  /** The most memory of a part beside the parameters, MiB; by default as it suits the device. */
  stepMemory?: number | undefined;
  /** Whether the graph keeps only the inputs of layers. */
  gradientCheckpointing: boolean;
  /** The memory of the device, in bytes; by default all that it has. */
  capacity?: number;
}

/** The plan by which batches are cut. */
export interface PartsPlan {
  /** The most memory of a part of several texts beside the parameters, MiB. */
  stepMemory: number;
  /** The most texts of a part, by the tokens of its longest; at least 1. */
  textsOf(length: number): number;
  /** The largest parts that may come, as values of the symbols in the graph's shapes. */
  largest: Record<string, number>[];
  /** A note for the user on the cuts; `undefined` if no batch is cut. */
  note: string | undefined;
}

const MIB = 2 ** 20;
/** The default memory, MiB: on CPUs where this was timed, larger parts were no faster. */
const DEFAULT_STEP_MEMORY = 1024;
/** The least default, MiB: a smaller one would cut all but single texts. */
const LEAST_STEP_MEMORY = 64;
/** The share of a device's memory that a plan may use: the rest is lost to fragmentation. */
const USABLE = 0.75;

/**
 * Plans the parts by the sizes of the tensors that a step keeps. The plan depends on the machine
 * only where that has too little memory for the default, which is then halved until it fits.
 *
 * @throws {UserError} If the longest text alone does not fit.
 */
export async function planParts(options: PartsOptions): Promise<PartsPlan> {
  const { device, lifetimes, dimensions, lengths, batchSize, gradientCheckpointing } = options;
  const isParameter = ({ shape }: Lifetime) => shape.every((size) => typeof size === "number");
  const growing = lifetimes.filter((lifetime) => !isParameter(lifetime));
  const bytesOf = (batch: number, length: number) => peakBytes(growing, dimensions(batch, length));
  const longest = lengths.reduce((a, b) => Math.max(a, b));

  // Weights and gradients; native code has AdamW's moments in the same memory.
  const parameterBytes = peakBytes(lifetimes.filter(isParameter), {}) *
    (device === "native" ? 2 : 1);
  const capacity = options.capacity ?? await deviceMemory(device);
  const free = USABLE * capacity - parameterBytes;
  const alone = bytesOf(1, longest);
  if (alone > free) {
    throw new UserError(
      `Cannot train on texts of ${longest} tokens on ${device}: one alone takes ` +
        `${gigabytes(alone)}, and beside the parameters there are ${
          gigabytes(Math.max(0, free))
        }; ` +
        "lower the max length" + (gradientCheckpointing ? "" : ", or try gradient checkpointing"),
    );
  }
  let stepMemory = options.stepMemory ?? DEFAULT_STEP_MEMORY;
  while (options.stepMemory === undefined && stepMemory > LEAST_STEP_MEMORY) {
    if (stepMemory * MIB <= free) break;
    stepMemory /= 2;
  }

  const known = new Map<number, number>();
  const textsOf = (length: number) => {
    // Several texts take at most their number times the memory of one.
    const texts = known.get(length) ??
      Math.max(1, Math.min(batchSize, Math.floor(stepMemory * MIB / bytesOf(1, length))));
    known.set(length, texts);
    return texts;
  };
  const cut = textsOf(longest);
  return {
    stepMemory,
    textsOf,
    largest: cut === batchSize
      ? [dimensions(batchSize, longest)]
      : [...new Set(lengths)].map((length) => dimensions(textsOf(length), length)),
    note: cut === batchSize
      ? undefined
      : `Steps are split into micro-batches of ${cut} ${
        cut === 1 ? "text" : "texts"
      } where texts ` +
        `have ${longest} tokens, which take ${gigabytes(bytesOf(cut, longest))} beside the ` +
        `parameters (the step memory is ${stepMemory} MiB)`,
  };
}

/**
 * The smaller memory to go on with, MiB, after the planned one was too much for the device.
 *
 * @throws {UserError} If it was the least already.
 */
export function lessStepMemory(stepMemory: number | undefined, error: OutOfMemoryError): number {
  if (stepMemory === undefined || stepMemory <= LEAST_STEP_MEMORY) {
    throw new UserError(
      `Cannot go on: ${error.message}, with one text at a time; lower the max length`,
    );
  }
  return Math.floor(stepMemory / 2);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(2)} GB`;
}
