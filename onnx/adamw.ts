/**
 * AdamW on the CPU: weights, moments and gradients lie in one WebAssembly memory, and a SIMD kernel
 * (`kernels/kernels.as.ts`) updates them in place.
 *
 * @module
 */
import { DeviceError } from "./device.ts";
import { elementCount } from "./shape.ts";

/** A trained tensor's name, as transformers has it, and shape. */
export interface ParameterShape {
  name: string;
  shape: readonly number[];
}

/** The settings of AdamW that stay the same for a run, under PyTorch's names. */
export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Gradients are scaled so that their common norm is at most this. */
  maxGradientNorm: number;
}

/** Added to the norm of the gradients before it divides, as PyTorch's `clip_grad_norm_` does. */
export const NORM_EPSILON = 1e-6;

/**
 * What one step of AdamW needs beside the gradients:
 * `weight = decay * weight - stepSize * first / (sqrt(second) + epsilon)`, which is PyTorch's update
 * with its two bias corrections moved into the factors.
 *
 * @param step Counted from 1.
 */
export function stepFactors(
  { beta1, beta2, epsilon, weightDecay }: AdamWOptions,
  step: number,
  learningRate: number,
): { stepSize: number; epsilon: number; decay: number } {
  const rootCorrection2 = Math.sqrt(1 - beta2 ** step);
  return {
    stepSize: learningRate * rootCorrection2 / (1 - beta1 ** step),
    epsilon: epsilon * rootCorrection2,
    decay: 1 - learningRate * weightDecay,
  };
}

interface Kernels {
  sumOfSquares(values: number, count: number): number;
  adamw(
    weights: number,
    firstMoments: number,
    secondMoments: number,
    gradients: number,
    count: number,
    gradientScale: number,
    beta1: number,
    beta2: number,
    stepSize: number,
    epsilon: number,
    decay: number,
  ): void;
}

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const PAGE_BYTES = 65_536;
/** What a WebAssembly memory can address: 4 GiB. */
const MAX_PAGES = 65_536;
/** Weights, two kinds of moments, gradients. */
const REGIONS = 4;
/** The kernels take four elements at a time. */
const LANES = 4;

/** The parameters of a model in training, with their optimizer. */
export class AdamW {
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #options: AdamWOptions;
  /** Where each parameter starts, in elements, within a region. */
  readonly #places: Map<string, { start: number; count: number }>;
  /** The elements of a region; there is one for weights, one each for moments and gradients. */
  readonly #regionCount: number;

  private constructor(
    kernels: Kernels,
    memory: WebAssembly.Memory,
    places: Map<string, { start: number; count: number }>,
    regionCount: number,
    options: AdamWOptions,
  ) {
    this.#kernels = kernels;
    this.#memory = memory;
    this.#places = places;
    this.#regionCount = regionCount;
    this.#options = options;
  }

  /**
   * Reserves memory for the parameters, their moments and gradients, all zero at first.
   *
   * @throws {DeviceError} If they do not fit.
   */
  static async create(
    parameters: readonly ParameterShape[],
    options: AdamWOptions,
  ): Promise<AdamW> {
    const places = new Map<string, { start: number; count: number }>();
    let regionCount = 0;
    for (const { name, shape } of parameters) {
      const count = elementCount(shape);
      places.set(name, { start: regionCount, count });
      regionCount += Math.ceil(count / LANES) * LANES;
    }
    const pages = Math.ceil((REGIONS * regionCount * BYTES) / PAGE_BYTES);
    if (pages > MAX_PAGES) {
      const most = Math.floor(MAX_PAGES * PAGE_BYTES / REGIONS / BYTES);
      throw new DeviceError(
        `Cannot train ${regionCount.toLocaleString("en")} parameters on the CPU: ` +
          `its memory takes ${most.toLocaleString("en")}; freeze some`,
      );
    }
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const bytes = await Deno.readFile(new URL("./kernels/kernels.wasm", import.meta.url));
    const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
    const kernels = instance.exports as unknown as Kernels;
    return new AdamW(kernels, memory, places, regionCount, options);
  }

  /** A parameter's weights: a view, which changes with each step. */
  weights(name: string): Float32Array {
    return this.#view(0, name);
  }

  /** A parameter's first moments: a view, which changes with each step. */
  firstMoments(name: string): Float32Array {
    return this.#view(1, name);
  }

  /** A parameter's second moments: a view, which changes with each step. */
  secondMoments(name: string): Float32Array {
    return this.#view(2, name);
  }

  /** Where a parameter's gradient is written before {@link step}. */
  gradient(name: string): Float32Array {
    return this.#view(3, name);
  }

  /**
   * Clips the gradients by their common norm and updates the weights and moments.
   *
   * @param step Counted from 1.
   * @returns The norm of all gradients before clipping.
   */
  step(step: number, learningRate: number): number {
    const { beta1, beta2, maxGradientNorm } = this.#options;
    const [weights, firstMoments, secondMoments, gradients] = [0, 1, 2, 3]
      .map((region) => region * this.#regionCount * BYTES) as [number, number, number, number];
    const norm = Math.sqrt(this.#kernels.sumOfSquares(gradients, this.#regionCount));
    const { stepSize, epsilon, decay } = stepFactors(this.#options, step, learningRate);
    this.#kernels.adamw(
      weights,
      firstMoments,
      secondMoments,
      gradients,
      this.#regionCount,
      Math.min(1, maxGradientNorm / (norm + NORM_EPSILON)),
      beta1,
      beta2,
      stepSize,
      epsilon,
      decay,
    );
    return norm;
  }

  #view(region: number, name: string): Float32Array {
    const place = this.#places.get(name);
    if (place === undefined) throw new RangeError(`Cannot find parameter '${name}'`);
    const start = (region * this.#regionCount + place.start) * BYTES;
    return new Float32Array(this.#memory.buffer, start, place.count);
  }
}
