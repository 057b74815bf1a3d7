/**
 * Tables whose rows come and go while a graph that gathers from them is loaded. They live in the
 * executor's Worker, behind `executor.ts`.
 *
 * @module
 */
import type * as ort from "onnxruntime-web";
import type { Runtime } from "../runtime.ts";
import type { DeviceTensors, Tensors } from "../session.ts";
import { arrayTensor, createArray, type GpuArray, gpuDevice, maxArrayBytes } from "../webgpu.ts";

/** A table that stays on the device between the runs of a graph. */
export interface TableInput {
  /** The graph's input for the table, float32 `[rows, width]`. */
  name: string;
  width: number;
  /** The graph's input for the rows to gather, int64. */
  indices: string;
}

/** A table that grows as rows are written; other rows are zero. */
export interface RowTable {
  /** How many rows the device can hold, the zero row included. */
  readonly maxRows: number;
  /** Writes rows by their numbers; `values` is `[rows.length, width]`. */
  write(rows: readonly number[], values: Float32Array): void;
  /** The table, and the indices into it, as inputs of a graph. */
  feeds(indices: BigInt64Array): { table: ort.Tensor; indices: BigInt64Array };
  /** Frees the device's memory. */
  release(): void;
}

/** Makes a table with one row of zeros. A graph must have been loaded before. */
export async function createRowTable(runtime: Runtime, width: number): Promise<RowTable> {
  return runtime.device === "webgpu"
    ? new GpuRowTable(runtime, await gpuDevice(runtime.ort), width)
    : new HostRowTable(runtime, width);
}

/** The rows of a table after it has grown: some more than are needed now. */
function grown(needed: number): number {
  return Math.ceil(needed * 1.125);
}

class HostRowTable implements RowTable {
  readonly maxRows = Infinity;
  readonly #runtime: Runtime;
  readonly #width: number;
  #values: Float32Array;

  constructor(runtime: Runtime, width: number) {
    this.#runtime = runtime;
    this.#width = width;
    this.#values = new Float32Array(width);
  }

  write(rows: readonly number[], values: Float32Array): void {
    const width = this.#width;
    const needed = 1 + Math.max(...rows);
    if (needed * width > this.#values.length) {
      const larger = new Float32Array(grown(needed) * width);
      larger.set(this.#values);
      this.#values = larger;
    }
    for (const [i, row] of rows.entries()) {
      this.#values.set(values.subarray(i * width, (i + 1) * width), row * width);
    }
  }

  feeds(indices: BigInt64Array): { table: ort.Tensor; indices: BigInt64Array } {
    const { device } = this.#runtime;
    // Native code reads the table where it is; WebAssembly gets a copy, of the rows in use only.
    return device === "native" ? { table: this.#tensor(this.#values), indices } : this.#compact(
      indices,
    );
  }

  release(): void {
    this.#values = new Float32Array(0);
  }

  #compact(indices: BigInt64Array): { table: ort.Tensor; indices: BigInt64Array } {
    const width = this.#width;
    const places = new Map<bigint, bigint>();
    const compact = indices.map((row) => {
      const place = places.get(row) ?? BigInt(places.size);
      places.set(row, place);
      return place;
    });
    const values = new Float32Array(places.size * width);
    for (const [row, place] of places) {
      const from = Number(row) * width;
      values.set(this.#values.subarray(from, from + width), Number(place) * width);
    }
    return { table: this.#tensor(values), indices: compact };
  }

  #tensor(values: Float32Array): ort.Tensor {
    const shape = [values.length / this.#width, this.#width];
    return new this.#runtime.ort.Tensor("float32", values, shape);
  }
}

class GpuRowTable implements RowTable {
  readonly maxRows: number;
  readonly #runtime: Runtime;
  readonly #device: GPUDevice;
  readonly #width: number;
  #capacity = 1;
  #array: GpuArray;

  constructor(runtime: Runtime, device: GPUDevice, width: number) {
    this.#runtime = runtime;
    this.#device = device;
    this.#width = width;
    this.#array = createArray(device, this.#bytes(1));
    this.maxRows = Math.floor(maxArrayBytes(device) / this.#bytes(1));
  }

  write(rows: readonly number[], values: Float32Array): void {
    const needed = 1 + Math.max(...rows);
    if (needed > this.#capacity) {
      this.#grow(Math.max(needed, Math.min(grown(needed), this.maxRows)));
    }
    const width = this.#width;
    for (const [i, row] of rows.entries()) {
      const part = values.slice(i * width, (i + 1) * width);
      this.#device.queue.writeBuffer(this.#array.buffer, this.#bytes(row), part);
    }
  }

  feeds(indices: BigInt64Array): { table: ort.Tensor; indices: BigInt64Array } {
    const shape = [this.#capacity, this.#width];
    return { table: arrayTensor(this.#runtime.ort, this.#array, shape), indices };
  }

  release(): void {
    this.#array.buffer.destroy();
  }

  #grow(capacity: number): void {
    const larger = createArray(this.#device, this.#bytes(capacity));
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.#array.buffer, 0, larger.buffer, 0, this.#array.size);
    this.#device.queue.submit([encoder.finish()]);
    this.#array.buffer.destroy();
    this.#array = larger;
    this.#capacity = capacity;
  }

  #bytes(rows: number): number {
    return rows * this.#width * Float32Array.BYTES_PER_ELEMENT;
  }
}

/** The inputs of a graph with those of its tables. */
export function withTables(
  feeds: Tensors,
  inputs: readonly TableInput[],
  tables: ReadonlyMap<string, RowTable>,
): Record<string, Tensors[string] | DeviceTensors[string]> {
  const all: Record<string, Tensors[string] | DeviceTensors[string]> = { ...feeds };
  for (const { name, indices: indexInput } of inputs) {
    const given = feeds[indexInput]!;
    const { table, indices } = tables.get(name)!.feeds(given.data as BigInt64Array);
    all[name] = table;
    all[indexInput] = { ...given, data: indices };
  }
  return all;
}
