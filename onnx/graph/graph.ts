/**
 * A graph of ONNX operators under construction. The functions of `operators.ts` append to it,
 * `gradient.ts` differentiates it and `proto.ts` writes it as bytes.
 *
 * @module
 */
import { dimensionsInput, floatsInput } from "./derived_inputs.ts";
import {
  differenceOperands,
  type Dimension,
  elementCount,
  formatShape,
  type Shape,
  terms,
} from "./shape.ts";

/** The element types that Graft's graphs use, under onnxruntime's names. */
export type ElementType = "float32" | "int64" | "bool" | "int8";

/** Values in memory, row-major. */
export interface TensorData {
  type: "float32" | "int64";
  /** All dimensions as numbers. */
  shape: readonly number[];
  data: Float32Array | BigInt64Array;
}

/** Values of 8 bits: constants only, never inputs or outputs. */
export interface QuantizedData {
  type: "int8";
  shape: readonly number[];
  data: Int8Array;
}

/** A value that a graph computes, takes as an input, or holds as a constant. */
export interface Tensor {
  readonly graph: Graph;
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

/** The gradient of a table from which rows were gathered: one entry for every row that was read. */
export interface IndexedSlices {
  /** `[...indices.shape, ...row]` */
  readonly values: Tensor;
  /** The row of each value, int64; the values of a row that repeats add up. */
  readonly indices: Tensor;
  /** The shape of the whole table. */
  readonly shape: Shape;
}

/** The gradient of a tensor, from `gradient()`. */
export type Gradient = Tensor | IndexedSlices;

/** Appends the nodes for the gradients of a node's operands; `undefined` where there is none. */
export type GradientRule = (outputGradient: Tensor) => (Gradient | undefined)[];

/** The attributes of a node: integers, lists of integers, `{ float }`, or text. */
export type Attributes = Readonly<Record<string, number | string | readonly number[] | Float>>;

/** A floating-point attribute, which ONNX distinguishes from an integer one. */
export interface Float {
  readonly float: number;
}

/** One operator in a graph. */
export interface Node {
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Attributes;
  /** The tensors that {@link gradient} differentiates by. */
  readonly operands: readonly Tensor[];
  readonly gradient: GradientRule | undefined;
}

/** The result of a node for {@link Graph.append}. */
export interface NodeOptions {
  type?: ElementType;
  shape: Shape;
  attributes?: Attributes;
  domain?: string;
  gradient?: GradientRule;
  /** The operands of `gradient`: the inputs, unless nodes without a rule lie between. */
  operands?: readonly Tensor[];
}

/** Settings of {@link Graph}. */
export interface GraphOptions {
  /**
   * Whether `derived_inputs.ts` feeds the values that follow from other inputs. Without it nodes
   * compute them, and any runtime can run the graph.
   */
  derivedInputs?: boolean;
}

/** A graph of ONNX operators. Nodes are kept in the order in which they can run. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Tensor[] = [];
  readonly outputs = new Map<string, Tensor>();
  readonly initializers = new Map<Tensor, TensorData | QuantizedData>();
  readonly #constants = new Map<string, Tensor>();
  readonly #symbols = new Map<string, Tensor>();
  /** By name; `undefined` if the graph has none. */
  readonly #derived: Map<string, Tensor> | undefined;
  #nameCount = 0;

  constructor({ derivedInputs = false }: GraphOptions = {}) {
    this.#derived = derivedInputs ? new Map() : undefined;
  }

  /** Declares an input. Its symbols may be used in the shapes of all later tensors. */
  input(name: string, type: ElementType, shape: Shape): Tensor {
    const tensor = { graph: this, name, type, shape };
    this.inputs.push(tensor);
    return tensor;
  }

  /** Names a tensor as an output of the graph. */
  output(name: string, tensor: Tensor): void {
    if (this.outputs.has(name)) {
      throw new RangeError(`Cannot add output '${name}' to the graph: it exists already`);
    }
    this.outputs.set(name, tensor);
  }

  /** Stores values in the graph, such as trained weights. */
  initializer(name: string, value: TensorData | QuantizedData): Tensor {
    if (elementCount(value.shape) !== value.data.length) {
      throw new RangeError(
        `Cannot store '${name}': shape ${
          formatShape(value.shape)
        } does not hold ${value.data.length} values`,
      );
    }
    const tensor = { graph: this, name, type: value.type, shape: value.shape };
    this.initializers.set(tensor, value);
    return tensor;
  }

  /** A float32 scalar. */
  scalar(value: number): Tensor {
    return this.#constant(`float32 ${Object.is(value, -0) ? "-0" : value}`, {
      type: "float32",
      shape: [],
      data: Float32Array.of(value),
    });
  }

  /** A list of int64 values, `[values.length]`. */
  integers(values: readonly number[]): Tensor {
    return this.#constant(`int64 ${values}`, {
      type: "int64",
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
  }

  /** The dimensions of a shape as an int64 tensor; symbols are read from the inputs at run time. */
  dimensions(shape: Shape): Tensor {
    if (shape.every((dimension) => typeof dimension === "number")) return this.integers(shape);
    if (this.#derived !== undefined) {
      return this.#derivedInput(dimensionsInput(shape), "int64", [shape.length]);
    }
    return this.append("Concat", shape.map((dimension) => this.#dimension(dimension)), {
      type: "int64",
      shape: [shape.length],
      attributes: { axis: 0 },
    });
  }

  /** The input that holds an integer input as float32, unless a node converts it. */
  derivedFloats(x: Tensor): Tensor | undefined {
    if (this.#derived === undefined || !this.inputs.includes(x)) return undefined;
    return this.#derivedInput(floatsInput(x.name), "float32", x.shape);
  }

  /** Appends a node with one output and returns that. */
  append(operator: string, inputs: readonly Tensor[], options: NodeOptions): Tensor {
    return this.appendMany(operator, inputs, [options.shape], options)[0]!;
  }

  /** Appends a node with several outputs; its gradient is that of the first one. */
  appendMany(
    operator: string,
    inputs: readonly Tensor[],
    shapes: readonly Shape[],
    options: Omit<NodeOptions, "shape">,
  ): Tensor[] {
    const { attributes = {}, domain = "", operands = inputs, gradient } = options;
    const { type = inputs[0]?.type ?? "float32" } = options;
    const outputs = shapes.map((shape) => ({ graph: this, name: this.#name(), type, shape }));
    this.nodes.push({ operator, domain, inputs, outputs, attributes, operands, gradient });
    return outputs;
  }

  #derivedInput(name: string, type: ElementType, shape: Shape): Tensor {
    const known = this.#derived!.get(name);
    if (known !== undefined) return known;
    const tensor = this.input(name, type, shape);
    this.#derived!.set(name, tensor);
    return tensor;
  }

  #name(): string {
    // No input or output is named like this.
    return `%${this.#nameCount++}`;
  }

  #constant(key: string, value: TensorData): Tensor {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const tensor = this.initializer(this.#name(), value);
    this.#constants.set(key, tensor);
    return tensor;
  }

  /** One dimension as an int64 tensor of shape `[1]`. */
  #dimension(dimension: Dimension): Tensor {
    if (typeof dimension === "number") return this.integers([dimension]);
    const known = this.#symbols.get(dimension);
    if (known !== undefined) return known;
    const combine = (operator: string, parts: string[]) =>
      parts.map((part) => this.#dimension(/^\d+$/.test(part) ? Number(part) : part))
        .reduce((a, b) => this.append(operator, [a, b], { shape: [1] }));
    const [factors, summands] = [dimension.split("*"), terms(dimension)];
    const subtracted = differenceOperands(dimension);
    const tensor = subtracted !== undefined
      ? combine("Sub", subtracted)
      : factors.length > 1
      ? combine("Mul", factors)
      : summands.length > 1
      ? combine("Add", summands)
      : this.#symbol(dimension);
    this.#symbols.set(dimension, tensor);
    return tensor;
  }

  #symbol(symbol: string): Tensor {
    for (const input of this.inputs) {
      const axis = input.shape.indexOf(symbol);
      if (axis < 0) continue;
      const attributes = { start: axis, end: axis + 1 };
      return this.append("Shape", [input], { type: "int64", shape: [1], attributes });
    }
    throw new RangeError(`Cannot resolve dimension '${symbol}': no graph input has it`);
  }
}
