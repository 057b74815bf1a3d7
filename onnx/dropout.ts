/**
 * Deterministic dropout: a mask is a function of seed, step and site, the same on every back end,
 * so that a step can be replayed. ONNX's own random operators are neither.
 *
 * Masks are windows of one long random tensor that is made once; each site of a graph reads its
 * window at an offset that changes with every step.
 *
 * @module
 */
import type { Graph, Tensor, TensorData } from "./graph.ts";
import { mul, reshape } from "./operators.ts";
import { hash, Random } from "./random.ts";
import { bindDimensions, elementCount, product, type Shape } from "./shape.ts";

/** What has to be fed for the dropout sites of a graph. */
export interface DropoutSites {
  /** The shape of the tensor at each place that drops elements. */
  shapes: Shape[];
  /** The distinct probabilities, each with a mask tensor of its own. */
  probabilities: number[];
}

/** Adds dropout to a graph, site by site. */
export class Dropout {
  readonly sites: DropoutSites = { shapes: [], probabilities: [] };
  readonly #graph: Graph;
  readonly #masks = new Map<number, Tensor>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /**
   * Zeroes each element with the given probability and scales the others by `1 / (1 - probability)`
   * (Srivastava et al., 2014).
   */
  apply(x: Tensor, probability: number): Tensor {
    if (probability === 0) return x;
    const site = this.sites.shapes.push(x.shape) - 1;
    const [start, end] = windowNames(site).map((name) => this.#graph.input(name, "int64", [1]));
    const window = this.#graph.append("Slice", [this.#maskInput(probability), start!, end!], {
      shape: [product(x.shape)],
    });
    return mul(x, reshape(window, x.shape));
  }

  #maskInput(probability: number): Tensor {
    const known = this.#masks.get(probability);
    if (known !== undefined) return known;
    const mask = this.#graph.input(maskName(probability), "float32", ["dropout_elements"]);
    this.#masks.set(probability, mask);
    this.sites.probabilities.push(probability);
    return mask;
  }
}

/** Makes the inputs that a graph with {@link Dropout} needs at each step. */
export class DropoutFeeds {
  readonly #seed: number;
  readonly #sites: DropoutSites;
  readonly #offsetLimit: number;
  /** The inputs that are the same at each step. */
  readonly masks: Record<string, TensorData & { type: "float32" }> = {};

  /** @param largest The largest value that each symbol of the sites' shapes will have. */
  constructor(seed: number, sites: DropoutSites, largest: Readonly<Record<string, number>>) {
    const largestSite = Math.max(
      0,
      ...sites.shapes.map((shape) => elementCount(bindDimensions(shape, largest))),
    );
    const size = Math.max(2 ** 20, 2 * largestSite);
    this.#seed = seed;
    this.#sites = sites;
    this.#offsetLimit = size - largestSite;
    for (const probability of sites.probabilities) {
      const random = new Random(seed, probability * 2 ** 32);
      const kept = Math.fround(1 / (1 - probability));
      const data = Float32Array.from(
        { length: size },
        () => random.uniform() < probability ? 0 : kept,
      );
      this.masks[maskName(probability)] = { type: "float32", shape: [size], data };
    }
  }

  /**
   * The others, for one step, or for one part of a step that takes its batch in parts.
   *
   * @param dimensions What the symbols of the sites' shapes are there.
   */
  windows(
    step: number,
    dimensions: Readonly<Record<string, number>>,
    part = 0,
  ): Record<string, TensorData> {
    const integer = (value: number): TensorData => ({
      type: "int64",
      shape: [1],
      data: BigInt64Array.of(BigInt(value)),
    });
    return Object.fromEntries(this.#sites.shapes.flatMap((shape, site) => {
      const start = hash(this.#seed, step, part, site) % this.#offsetLimit;
      const end = start + elementCount(bindDimensions(shape, dimensions));
      const [startName, endName] = windowNames(site);
      return [[startName, integer(start)], [endName, integer(end)]];
    }));
  }
}

/** The inputs that say where the window of a site starts and ends. */
function windowNames(site: number): [string, string] {
  return [`dropout_start_${site}`, `dropout_end_${site}`];
}

function maskName(probability: number): string {
  return `dropout_mask_${probability}`;
}
