/**
 * Inputs that follow from the other inputs of a graph: dimensions as lists of integers, and
 * integers as floating-point numbers. onnxruntime's WebGPU provider has no int64, so nodes that
 * derive them would run on the CPU.
 *
 * Their names say what they hold; `Session` feeds them.
 *
 * @module
 */
import type { TensorData } from "./graph.ts";
import { bindDimensions, type Dimension, formatShape, type Shape } from "./shape.ts";

const DIMENSIONS = "dimensions ";
const FLOATS = "float32 ";

/** The name of the input that holds the dimensions of a shape, int64. */
export function dimensionsInput(shape: Shape): string {
  return DIMENSIONS + formatShape(shape);
}

/** The name of the input that holds the values of an integer input as float32. */
export function floatsInput(name: string): string {
  return FLOATS + name;
}

/** onnxruntime's description of an input. */
interface InputMetadata {
  name: string;
  shape: readonly Dimension[];
}

type Feeds = Readonly<Record<string, TensorData | { dims: readonly number[] }>>;

/** Derives inputs of one graph. */
export class DerivedInputs {
  /** The dimensions to list, by input. */
  readonly #lists: [string, Shape][] = [];
  /** The integers to convert, by input. */
  readonly #floats: [string, string][] = [];
  /** The inputs and axes that symbols can be read from. */
  readonly #symbols: { symbol: string; input: string; axis: number }[] = [];

  constructor(inputs: readonly InputMetadata[]) {
    for (const { name, shape } of inputs) {
      if (name.startsWith(DIMENSIONS)) {
        this.#lists.push([name, name.slice(DIMENSIONS.length + 1, -1).split(", ")]);
        continue;
      }
      const isFloats = name.startsWith(FLOATS);
      const input = isFloats ? name.slice(FLOATS.length) : name;
      if (isFloats) this.#floats.push([name, input]);
      for (const [axis, symbol] of shape.entries()) {
        if (typeof symbol === "string") this.#symbols.push({ symbol, input, axis });
      }
    }
  }

  /** The values of the symbols in the inputs' shapes, as far as these feeds show them. */
  dimensions(feeds: Feeds): Record<string, number> {
    const values: Record<string, number> = {};
    for (const { symbol, input, axis } of this.#symbols) {
      const feed = feeds[input];
      if (feed === undefined) continue;
      values[symbol] = ("dims" in feed ? feed.dims : feed.shape)[axis]!;
    }
    return values;
  }

  /** The inputs that are derived from others. */
  from(feeds: Feeds): Record<string, TensorData> {
    const derived: Record<string, TensorData> = {};
    const values = this.dimensions(feeds);
    for (const [name, shape] of this.#lists) {
      const data = BigInt64Array.from(bindDimensions(shape, values), BigInt);
      derived[name] = { type: "int64", shape: [shape.length], data };
    }
    for (const [name, input] of this.#floats) {
      const feed = feeds[input];
      if (feed === undefined || "dims" in feed) continue;
      const data = Float32Array.from(feed.data as BigInt64Array, Number);
      derived[name] = { type: "float32", shape: feed.shape, data };
    }
    return derived;
  }
}
