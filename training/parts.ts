/**
 * The parts of a step: a batch is what the user says, a part is what the device holds. A batch that
 * takes more memory than a part may is cut; the losses and gradients of its parts add up to its own.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import { type Lifetime, peakBytes } from "../onnx/graph/memory.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type { TrainingGraphs } from "../onnx/runtime/executor.ts";
import { deviceMemory, type OutOfMemoryError } from "../onnx/runtime/device_memory.ts";

/** The graphs of a model in training, and what its memory is planned by. */
export interface PlannedGraphs extends TrainingGraphs {
  /** The tensors of the training graph. */
  lifetimes: Lifetime[];
}

/** What {@link planParts} goes by. */
export interface PartsOptions {
  device: Device;
  /** The tensors of the training graph. */
  lifetimes: readonly Lifetime[];
  /** The symbols of their shapes in a part of so many texts of so many tokens. */
  dimensions: (batch: number, length: number) => Record<string, number>;
  /** The tokens of each text. */
  lengths: readonly number[];
  batchSize: number;
  /** The most that a part may take beside the parameters, MiB; by default what suits the device. */
  stepMemory: number | undefined;
  /** Whether the graph keeps only the inputs of layers. */
  gradientCheckpointing: boolean;
  /** How many bytes the device can hold; by default what it has. */
  capacity?: number;
}

/** How batches are cut. */
export interface PartsPlan {
  /** The most that a part of several texts takes beside the parameters, MiB. */
  stepMemory: number;
  /** How many texts of at most so many tokens a part may have, 1 at least. */
  textsOf(length: number): number;
  /** The largest parts that may come, as the symbols of the graph's shapes. */
  largest: Record<string, number>[];
  /** What a user should know of it; `undefined` if no batch is cut. */
  note: string | undefined;
}

const MIB = 2 ** 20;
/** On CPUs where this was timed, larger parts were no faster. */
const DEFAULT_STEP_MEMORY = 1024;
/** A smaller default would cut all but single texts. */
const LEAST_STEP_MEMORY = 64;
/** The share of a device's memory that is planned with: the rest lies between what was freed. */
const USABLE = 0.75;

/**
 * Plans the parts by the sizes of what a step keeps. The plan depends on the machine only where that
 * has too little memory for the default, which is then halved until it fits.
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
        "lower --max-length" + (gradientCheckpointing ? "" : ", or try --gradient-checkpointing"),
    );
  }
  let stepMemory = options.stepMemory ?? DEFAULT_STEP_MEMORY;
  while (options.stepMemory === undefined && stepMemory > LEAST_STEP_MEMORY) {
    if (stepMemory * MIB <= free) break;
    stepMemory /= 2;
  }

  const known = new Map<number, number>();
  const textsOf = (length: number) => {
    // So many texts take at most so many times as much as one.
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
      : `Steps go in parts of ${cut} ${cut === 1 ? "text" : "texts"} where texts have ` +
        `${longest} tokens, for which ${gigabytes(bytesOf(cut, longest))} are needed beside the ` +
        `parameters (--step-memory ${stepMemory})`,
  };
}

/**
 * The smaller memory to go on with, MiB, after what was planned has not fitted.
 *
 * @throws {UserError} If it was the least already.
 */
export function lessStepMemory(stepMemory: number | undefined, error: OutOfMemoryError): number {
  if (stepMemory === undefined || stepMemory <= LEAST_STEP_MEMORY) {
    throw new UserError(
      `Cannot go on: ${error.message}, with one text at a time; lower --max-length`,
    );
  }
  return Math.floor(stepMemory / 2);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(2)} GB`;
}
