/**
 * Deterministic dropout: a mask is a function of seed, step and site, the same on every back end,
 * so that a step can be replayed. ONNX's own random operators are neither.
 *
 * Masks are windows of one long tensor of random numbers, made once. Each site of a graph has an
 * input for its mask, the window at an offset that changes with every step.
 *
 * @module
 */
import type { Graph, Tensor, TensorData } from "./graph.ts";
import { mul } from "./operators.ts";
import { hash, Random } from "../../lib/random.ts";
import { bindDimensions, elementCount, type Shape } from "./shape.ts";

/** A place in a graph that drops elements. */
export interface DropoutSite {
  /** The input that holds its mask: 0 where an element is dropped. */
  input: string;
  shape: Shape;
  probability: number;
}

/** Adds dropout to a graph, site by site. */
export class Dropout {
  readonly sites: DropoutSite[] = [];
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /**
   * Zeroes each element with the given probability and scales the others by `1 / (1 - probability)`
   * (Srivastava et al., 2014).
   */
  apply(x: Tensor, probability: number): Tensor {
    const mask = this.mask(x.shape, probability);
    return mask === undefined ? x : mul(x, mask);
  }

  /** The factor of {@link apply}; `undefined` where nothing is dropped. */
  mask(shape: Shape, probability: number): Tensor | undefined {
    if (probability === 0) return undefined;
    const input = `dropout_mask_${this.sites.length}`;
    this.sites.push({ input, shape, probability });
    return this.#graph.input(input, "float32", shape);
  }
}

/** The mask of a site in one part of a step: a window of the random numbers. */
interface MaskWindow {
  site: DropoutSite;
  /** Where the mask starts in {@link DropoutWindows.numbers} of the site's probability. */
  start: number;
  shape: number[];
}

/** The most elements that a shape has, over several values of its symbols. */
export function largestCount(
  shape: Shape,
  largest: readonly Readonly<Record<string, number>>[],
): number {
  return Math.max(0, ...largest.map((values) => elementCount(bindDimensions(shape, values))));
}

/** Chooses the random numbers that are a step's masks, and holds them on the CPU. */
export class DropoutWindows {
  /** Random masks by probability; each site's mask is a window of one. */
  readonly numbers: ReadonlyMap<number, Float32Array<ArrayBuffer>>;
  readonly #seed: number;
  readonly #sites: readonly DropoutSite[];
  readonly #offsetLimit: number;

  /** @param largest The values of the symbols in the sites' shapes for the largest batches. */
  constructor(
    seed: number,
    sites: readonly DropoutSite[],
    largest: readonly Readonly<Record<string, number>>[],
  ) {
    const largestSite = Math.max(0, ...sites.map(({ shape }) => largestCount(shape, largest)));
    const size = Math.max(2 ** 20, 2 * largestSite);
    this.#seed = seed;
    this.#sites = sites;
    this.#offsetLimit = size - largestSite;
    const probabilities = new Set(sites.map(({ probability }) => probability));
    this.numbers = new Map([...probabilities].map((probability) => {
      const random = new Random(seed, probability * 2 ** 32);
      const kept = Math.fround(1 / (1 - probability));
      const draw = () => random.uniform() < probability ? 0 : kept;
      return [probability, Float32Array.from({ length: size }, draw)];
    }));
  }

  /** The windows of one step; see {@link feeds}. */
  of(
    step: number,
    dimensions: Readonly<Record<string, number>>,
    part: number,
  ): MaskWindow[] {
    return this.#sites.map((site, i) => ({
      site,
      start: hash(this.#seed, step, part, i) % this.#offsetLimit,
      shape: bindDimensions(site.shape, dimensions),
    }));
  }

  /**
   * The masks of one step, or of one part of its batch, as inputs of the graph.
   *
   * @param dimensions The values of the symbols in the sites' shapes.
   */
  feeds(
    step: number,
    dimensions: Readonly<Record<string, number>>,
    part = 0,
  ): Record<string, TensorData> {
    return Object.fromEntries(
      this.of(step, dimensions, part).map(({ site: { input, probability }, start, shape }) => {
        const numbers = this.numbers.get(probability)!;
        // A view, no copy.
        const data = numbers.subarray(start, start + elementCount(shape));
        return [input, { type: "float32", shape, data }];
      }),
    );
  }

  /** Does nothing, as the memory goes with the object; only masks on a GPU need it. */
  release(): void {}
}
