/**
 * AdamW on the CPU: weights, moments and gradients lie in one WebAssembly memory. SIMD kernels
 * (`kernels/kernels.as.ts`) update them in place, on one thread: native code takes no shared
 * memory.
 *
 * @module
 */
import { count } from "../../../lib/format.ts";
import { DeviceError } from "../device.ts";
import { elementCount } from "../../graph/shape.ts";

/** A trained tensor's name, as transformers has it, and shape. */
export interface ParameterShape {
  name: string;
  shape: readonly number[];
}

/** The number of values in all parameters together. */
export function parameterCount(parameters: readonly ParameterShape[]): number {
  return parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
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

/** Added to the norm of the gradients before dividing by it, as in PyTorch's `clip_grad_norm_`. */
export const NORM_EPSILON = 1e-6;

/**
 * The factors of one step of AdamW:
 * `weight = decay * weight - stepSize * first / (sqrt(second) + epsilon)`, which is PyTorch's
 * update with its two bias corrections moved into the factors.
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

/** A step's factors for all elements, in the order of the kernels' parameters. */
type StepFactors = [
  gradientScale: number,
  beta1: number,
  beta2: number,
  stepSize: number,
  epsilon: number,
  decay: number,
];

interface Kernels {
  sumOfSquares(values: number, count: number): number;
  update(
    weights: number,
    firstMoments: number,
    secondMoments: number,
    gradients: number,
    count: number,
    ...factors: StepFactors
  ): void;
  updateRows(
    weights: number,
    firstMoments: number,
    secondMoments: number,
    gradients: number,
    places: number,
    rows: number,
    width: number,
    ...factors: StepFactors
  ): void;
  decayRows(
    weights: number,
    places: number,
    rows: number,
    width: number,
    decays: number,
    count: number,
  ): void;
}

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const PAGE_BYTES = 65_536;
/** The limit of a WebAssembly memory: 4 GiB. */
const MAX_PAGES = 65_536;
/** Weights, two kinds of moments, gradients. */
const REGIONS = 4;
/** The elements that the kernels add up at a time. */
const LANES = 16;
/**
 * The place of a row of a table that no step has read: its moments are zero, and its only change,
 * the decay, is deferred.
 */
const UNREAD = -1;
/** The place of a row that the current step has not read: its gradient is a row of zeros. */
const ZEROS = 0;
/** Parts of a table; each step settles the decay of one, as writing the whole table is slow. */
const PARTS = 32;

/** Where everything lies; addresses are in bytes, counts and starts in elements. */
interface Layout {
  /** Where each parameter starts among the weights, moments and gradients alike. */
  places: Map<string, { start: number; count: number }>;
  weights: number;
  firstMoments: number;
  secondMoments: number;
  gradients: number;
  /** The elements with whole gradients, which come first; tables have none among these. */
  wholeCount: number;
  tables: Map<string, Table>;
  /** The address of the decays of the last steps, at most {@link PARTS}. */
  decays: number;
  pages: number;
}

/** A parameter whose gradient is kept by row. */
interface Table {
  start: number;
  rows: number;
  width: number;
  /** A row of zeros, then the gradients of the rows that the step has read. */
  gradients: number;
  /** How many rows these are, the row of zeros included. */
  gradientRows: number;
  /** For each row of the table its row among the gradients, int32, or {@link UNREAD}. */
  places: number;
  /** For each part how many of the last steps have not yet decayed its unread rows. */
  owed: number[];
}

/** The parameters of a model in training, with their optimizer. */
export class AdamW {
  readonly #kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #layout: Layout;
  readonly #options: AdamWOptions;
  /** The decays of the last steps, at most {@link PARTS}. */
  readonly #decays: number[] = [];
  /** The part of the tables to settle next. */
  #nextPart = 0;

  private constructor(
    kernels: Kernels,
    memory: WebAssembly.Memory,
    layout: Layout,
    options: AdamWOptions,
  ) {
    this.#kernels = kernels;
    this.#memory = memory;
    this.#layout = layout;
    this.#options = options;
    for (const table of layout.tables.values()) this.#placesOf(table).fill(UNREAD);
  }

  /**
   * Reserves memory for the parameters, their moments and gradients, all zero at first.
   *
   * @param tables The parameters that a step may read by rows; see {@link addRows}.
   * @throws {DeviceError} If they do not fit.
   */
  static async create(
    parameters: readonly ParameterShape[],
    options: AdamWOptions,
    tables: ReadonlySet<string> = new Set(),
  ): Promise<AdamW> {
    const layout = layOut(parameters, tables);
    const { pages } = layout;
    if (pages > MAX_PAGES) {
      const asked = parameterCount(parameters);
      const most = Math.floor(MAX_PAGES * PAGE_BYTES / REGIONS / BYTES);
      throw new DeviceError(
        `Cannot train ${count(asked)} parameters on the CPU: ` +
          `its memory takes ${count(most)}; freeze some`,
      );
    }
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const bytes = await Deno.readFile(new URL("../kernels/kernels.wasm", import.meta.url));
    const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
    return new AdamW(instance.exports as unknown as Kernels, memory, layout, options);
  }

  /**
   * A parameter's weights: a view, which changes with each step. Rows of a table that no step has
   * read lag behind until {@link settle} or {@link settleRows} is called.
   */
  weights(name: string): Float32Array {
    return this.#view(this.#layout.weights, name);
  }

  /** A parameter's first moments: a view, which changes with each step. */
  firstMoments(name: string): Float32Array {
    return this.#view(this.#layout.firstMoments, name);
  }

  /** A parameter's second moments: a view, which changes with each step. */
  secondMoments(name: string): Float32Array {
    return this.#view(this.#layout.secondMoments, name);
  }

  /** Replaces one kind of a parameter's moments. */
  setMoments(kind: "firstMoments" | "secondMoments", name: string, values: Float32Array): void {
    this[kind](name).set(values);
    const table = this.#layout.tables.get(name);
    if (table === undefined) return;
    const places = this.#placesOf(table);
    for (let row = 0; row < table.rows; row++) {
      const moments = values.subarray(row * table.width, (row + 1) * table.width);
      if (moments.some((moment) => moment !== 0)) this.#settleRow(table, places, row);
    }
  }

  /** Brings all weights up to date. */
  settle(): void {
    for (const table of this.#layout.tables.values()) {
      for (let part = 0; part < PARTS; part++) this.#settlePart(table, part);
    }
  }

  /** Brings the rows of a table that a graph is about to read up to date. */
  settleRows(name: string, rows: ArrayLike<number | bigint>): void {
    const table = this.#layout.tables.get(name)!;
    const places = this.#placesOf(table);
    for (let i = 0; i < rows.length; i++) this.#settleRow(table, places, Number(rows[i]));
  }

  /** Where the gradient of a parameter other than a table is written before {@link step}. */
  gradient(name: string): Float32Array {
    if (this.#layout.tables.has(name)) {
      throw new RangeError(`Cannot give the whole gradient of '${name}': it is kept by row`);
    }
    return this.#view(this.#layout.gradients, name);
  }

  /**
   * Adds to the gradients of some rows of a table.
   *
   * @param values `[indices.length, ...row]`
   * @param indices The rows; they may repeat.
   */
  addRows(name: string, values: Float32Array, indices: ArrayLike<number | bigint>): void {
    const table = this.#layout.tables.get(name);
    if (table === undefined) throw new RangeError(`Cannot add rows to '${name}': it is no table`);
    const { width } = table;
    const places = this.#placesOf(table);
    for (let i = 0; i < indices.length; i++) {
      const row = Number(indices[i]);
      this.#settleRow(table, places, row);
      const isNew = places[row] === ZEROS;
      if (isNew) places[row] = table.gradientRows++;
      const address = table.gradients + places[row]! * width * BYTES;
      const target = new Float32Array(this.#memory.buffer, address, width);
      const added = values.subarray(i * width, (i + 1) * width);
      if (isNew) target.set(added);
      else for (let column = 0; column < width; column++) target[column]! += added[column]!;
    }
  }

  /** Sets the gradients of all tables to zero. */
  clearRows(): void {
    for (const table of this.#layout.tables.values()) {
      const places = this.#placesOf(table);
      for (let row = 0; row < table.rows; row++) if (places[row]! > ZEROS) places[row] = ZEROS;
      const count = table.gradientRows * table.width;
      new Float32Array(this.#memory.buffer, table.gradients, count).fill(0);
      table.gradientRows = 1;
    }
  }

  /**
   * Clips the gradients by their common norm and updates the weights and moments.
   *
   * @param step Counted from 1.
   * @returns The norm of all gradients before clipping.
   */
  step(step: number, learningRate: number): number {
    const { weights, firstMoments, secondMoments, gradients, wholeCount } = this.#layout;
    const tables = [...this.#layout.tables.values()];
    let squares = this.#kernels.sumOfSquares(gradients, wholeCount);
    for (const { gradients, gradientRows, width } of tables) {
      squares += this.#kernels.sumOfSquares(gradients, gradientRows * width);
    }
    const norm = Math.sqrt(squares);

    const { beta1, beta2, maxGradientNorm } = this.#options;
    const { stepSize, epsilon, decay } = stepFactors(this.#options, step, learningRate);
    const gradientScale = Math.min(1, maxGradientNorm / (norm + NORM_EPSILON));
    const factors: StepFactors = [gradientScale, beta1, beta2, stepSize, epsilon, decay];
    this.#kernels.update(
      weights,
      firstMoments,
      secondMoments,
      gradients,
      wholeCount,
      ...factors,
    );
    this.#decays.push(decay);
    if (this.#decays.length > PARTS) this.#decays.shift();
    for (const table of tables) {
      const { start, gradients, places, rows, width, owed } = table;
      this.#kernels.updateRows(
        weights + start * BYTES,
        firstMoments + start * BYTES,
        secondMoments + start * BYTES,
        gradients,
        places,
        rows,
        width,
        ...factors,
      );
      for (let part = 0; part < PARTS; part++) owed[part]!++;
      this.#settlePart(table, this.#nextPart);
    }
    this.#nextPart = (this.#nextPart + 1) % PARTS;
    return norm;
  }

  /** Applies the deferred decay to a part's unread rows. */
  #settlePart(table: Table, part: number): void {
    const size = partSize(table);
    const from = Math.min(table.rows, part * size);
    this.#decay(table, from, Math.min(table.rows, from + size), part);
    table.owed[part] = 0;
  }

  /** Applies the deferred decay to a row that is read for the first time. */
  #settleRow(table: Table, places: Int32Array, row: number): void {
    if (places[row] !== UNREAD) return;
    this.#decay(table, row, row + 1, Math.floor(row / partSize(table)));
    places[row] = ZEROS;
  }

  #decay({ start, width, places, owed }: Table, from: number, to: number, part: number): void {
    const count = owed[part]!;
    if (count === 0 || from === to) return;
    const { weights, decays } = this.#layout;
    new Float32Array(this.#memory.buffer, decays, count).set(this.#decays.slice(-count));
    this.#kernels.decayRows(
      weights + (start + from * width) * BYTES,
      places + from * BYTES,
      to - from,
      width,
      decays,
      count,
    );
  }

  #placesOf({ places, rows }: Table): Int32Array {
    return new Int32Array(this.#memory.buffer, places, rows);
  }

  #view(region: number, name: string): Float32Array {
    const place = this.#layout.places.get(name);
    if (place === undefined) throw new RangeError(`Cannot find parameter '${name}'`);
    return new Float32Array(this.#memory.buffer, region + place.start * BYTES, place.count);
  }
}

function layOut(parameters: readonly ParameterShape[], names: ReadonlySet<string>): Layout {
  const isTable = ({ name }: ParameterShape) => names.has(name);
  const whole = parameters.filter((parameter) => !isTable(parameter));
  const tabular = parameters.filter(isTable);
  const places = new Map<string, { start: number; count: number }>();
  let end = 0;
  const place = ({ name, shape }: ParameterShape) => {
    places.set(name, { start: end, count: elementCount(shape) });
    end += roundUp(elementCount(shape));
  };
  whole.forEach(place);
  const wholeCount = end;
  tabular.forEach(place);

  let bytes = 0;
  const reserve = (count: number) => {
    const address = bytes;
    bytes += roundUp(count) * BYTES;
    return address;
  };
  const [weights, firstMoments, secondMoments] = [reserve(end), reserve(end), reserve(end)];
  const gradients = reserve(wholeCount);
  const tables = tabular.map(({ name, shape }): [string, Table] => {
    const { start, count } = places.get(name)!;
    const rows = shape[0]!;
    const width = count / rows;
    const owed = new Array<number>(PARTS).fill(0);
    const table = { start, rows, width, gradientRows: 1, owed };
    return [name, { ...table, gradients: reserve(width + count), places: reserve(rows) }];
  });
  const decays = reserve(PARTS);
  return {
    places,
    weights,
    firstMoments,
    secondMoments,
    gradients,
    wholeCount,
    tables: new Map(tables),
    decays,
    pages: Math.ceil(bytes / PAGE_BYTES),
  };
}

/** How many rows a part of a table has. */
function partSize({ rows }: Table): number {
  return Math.ceil(rows / PARTS);
}

/** Rounds a count up to a multiple of the kernels' lanes. */
function roundUp(count: number): number {
  return Math.ceil(count / LANES) * LANES;
}
