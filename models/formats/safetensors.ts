/**
 * Reads and writes safetensors, the format of Hugging Face's weights: eight bytes with the length of
 * a JSON header, the header, then the tensors' bytes.
 *
 * @module
 */
import { z } from "zod";
import { checkRegular, LFS_FAULT } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { elementCount } from "../../onnx/graph/shape.ts";

/** The element types that Graft writes, with the arrays that hold them. */
const ARRAYS = { F32: Float32Array, I32: Int32Array, I64: BigInt64Array } as const;

/** How each element type that Graft reads becomes an array; other floats become float32. */
const DECODERS: Record<
  string,
  { bytes: number; decode: (data: ArrayBuffer) => StoredTensor["data"] }
> = {
  F64: { bytes: 8, decode: (data) => Float32Array.from(new Float64Array(data)) },
  F32: { bytes: 4, decode: (data) => new Float32Array(data) },
  F16: { bytes: 2, decode: (data) => Float32Array.from(new Float16Array(data)) },
  BF16: { bytes: 2, decode: decodeBfloat16 },
  I32: { bytes: 4, decode: (data) => new Int32Array(data) },
  I64: { bytes: 8, decode: (data) => new BigInt64Array(data) },
};

/** A tensor of a safetensors file. */
export interface StoredTensor {
  shape: readonly number[];
  data: Float32Array | Int32Array | BigInt64Array;
}

/** The content of a safetensors file. */
export interface Safetensors {
  tensors: Map<string, StoredTensor>;
  metadata: Record<string, string>;
}

const Header = z.record(
  z.string(),
  z.object({
    dtype: z.string(),
    shape: z.array(z.number().int().nonnegative()),
    data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
  }),
);
const Metadata = z.record(z.string(), z.string());

const LENGTH_BYTES = 8;

/** The first {@link LENGTH_BYTES} bytes of the file that Git LFS leaves in place of another. */
const LFS_POINTER = "version ";

/** The place of a tensor in a file. */
interface Place {
  dtype: string;
  shape: readonly number[];
  /** The first byte, from the start of the file. */
  from: number;
  /** The byte after the last. */
  to: number;
}

/**
 * Decodes a safetensors file. The tensors are copies of their bytes; only those of the types F64,
 * F32, F16, BF16, I32 and I64 are included.
 *
 * @param file The name of the file in error messages.
 * @throws {UserError} If the bytes are not a well-formed safetensors file.
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const headerEnd = headerEndOf(bytes, bytes.length, file);
  const { places, metadata } = parseHeader(bytes.subarray(0, headerEnd), bytes.length, file);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, from, to }] of places) {
    const type = decoderOf(dtype);
    if (type === undefined) continue;
    tensors.set(name, { shape, data: type.decode(bytes.slice(from, to).buffer) });
  }
  return { tensors, metadata };
}

/** A safetensors file whose tensors are read one at a time. */
export class SafetensorsFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #places: ReadonlyMap<string, Place>;

  private constructor(file: Deno.FsFile, path: string, places: ReadonlyMap<string, Place>) {
    this.#file = file;
    this.#path = path;
    this.#places = places;
  }

  /**
   * Reads the header.
   *
   * @throws {UserError} As {@link decodeSafetensors} does, and if there is no such file.
   */
  static async open(path: string): Promise<SafetensorsFile> {
    await checkRegular(path);
    const file = await Deno.open(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) throw fault(path, "no such file");
      throw error;
    });
    try {
      const { size } = await file.stat();
      const length = await readBytes(file, path, 0, Math.min(LENGTH_BYTES, size));
      const header = await readBytes(file, path, 0, headerEndOf(length, size, path));
      return new SafetensorsFile(file, path, parseHeader(header, size, path).places);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The tensors' names. */
  names(): Iterable<string> {
    return this.#places.keys();
  }

  /** The shape of a tensor and its type, as the file names it. */
  describe(name: string): Pick<Place, "dtype" | "shape"> {
    return this.#place(name);
  }

  /**
   * Reads one tensor.
   *
   * @throws {UserError} If there is no such tensor, or Graft cannot read its type.
   */
  async read(name: string): Promise<StoredTensor> {
    const { dtype, shape, from, to } = this.#place(name);
    const type = decoderOf(dtype);
    if (type === undefined) {
      throw fault(this.#path, `tensor '${name}' has type ${dtype}, which is not supported`);
    }
    const { buffer } = await readBytes(this.#file, this.#path, from, to);
    return { shape, data: type.decode(buffer) };
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (place !== undefined) return place;
    throw new UserError(`Cannot read '${this.#path}': it holds no tensor '${name}'`);
  }
}

async function readBytes(
  file: Deno.FsFile,
  path: string,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(to - from);
  await file.seek(from, Deno.SeekMode.Start);
  for (let read = 0; read < bytes.length;) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) throw fault(path, "it has become shorter while it was read");
    read += count;
  }
  return bytes;
}

/** The end of the header. */
function headerEndOf(start: Uint8Array, fileLength: number, file: string): number {
  const text = new TextDecoder().decode(start);
  // No more of the file has been read.
  if (/^<(!doctyp|html)/i.test(text)) {
    throw fault(file, "it is a web page, not a model; download the file itself");
  }
  if (text.startsWith(LFS_POINTER)) {
    throw fault(file, LFS_FAULT);
  }
  if (start.length < LENGTH_BYTES) {
    throw fault(file, `expected a safetensors header, got ${start.length} bytes`);
  }
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (LENGTH_BYTES + length > fileLength) {
    throw fault(
      file,
      `its header needs ${length} bytes, ${fileLength - LENGTH_BYTES} are there`,
    );
  }
  return LENGTH_BYTES + length;
}

/** The tensors' places in the order of their bytes, which must fill the file. */
function parseHeader(
  bytes: Uint8Array,
  fileLength: number,
  file: string,
): { places: Map<string, Place>; metadata: Record<string, string> } {
  let header: z.infer<typeof Header>;
  let metadata: Record<string, string>;
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH_BYTES)));
    const { __metadata__ = {}, ...entries } = json;
    header = Header.parse(entries);
    metadata = Metadata.parse(__metadata__);
  } catch {
    throw fault(file, "its header is not a safetensors header");
  }

  const start = bytes.length;
  const places = new Map<string, Place>();
  let end = 0;
  const inOrder = Object.entries(header).sort(([, a], [, b]) =>
    a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]
  );
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of inOrder) {
    const type = decoderOf(dtype);
    // A tensor of another type does no harm until somebody reads it.
    if (type !== undefined && to - from !== elementCount(shape) * type.bytes) {
      throw fault(
        file,
        `tensor '${name}' has ${to - from} bytes, which is not [${shape}] of ${dtype}`,
      );
    }
    if (from !== end) throw fault(file, `tensor '${name}' starts at byte ${from}, expected ${end}`);
    if (start + to > fileLength) throw fault(file, `tensor '${name}' ends after the file's end`);
    end = to;
    places.set(name, { dtype, shape, from: start + from, to: start + to });
  }
  if (start + end !== fileLength) {
    throw fault(file, `${fileLength - start - end} bytes belong to no tensor`);
  }
  return { places, metadata };
}

function decoderOf(dtype: string): (typeof DECODERS)[string] | undefined {
  return Object.hasOwn(DECODERS, dtype) ? DECODERS[dtype] : undefined;
}

function fault(file: string, rule: string): UserError {
  return new UserError(`Cannot read '${file}': ${rule}`);
}

/** A bfloat16 is the upper half of a float32. */
function decodeBfloat16(data: ArrayBuffer): Float32Array {
  const halves = new Uint16Array(data);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** Encodes tensors as a safetensors file, in the order given. */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Uint8Array<ArrayBuffer> {
  const header = encodeHeader(
    [...tensors].map(([name, { shape, data }]) => {
      const dtype = Object.entries(ARRAYS).find(([, array]) => data instanceof array)![0];
      return { name, dtype, shape, byteLength: data.byteLength };
    }),
    metadata,
  );
  const size = tensors.values().reduce((sum, { data }) => sum + data.byteLength, header.length);
  const bytes = new Uint8Array(size);
  bytes.set(header);
  let position = header.length;
  for (const { data } of tensors.values()) {
    bytes.set(bytesOf(data), position);
    position += data.byteLength;
  }
  return bytes;
}

/** A float32 tensor whose values are only requested when they are to be written. */
export interface TensorSource {
  name: string;
  shape: readonly number[];
  read(): Float32Array | Promise<Float32Array>;
}

/**
 * A safetensors file in pieces, so that only one tensor is in memory at a time.
 *
 * @param dtype The type of the stored numbers: float32, or rounded to half precision.
 */
export async function* safetensorsParts(
  sources: readonly TensorSource[],
  metadata: Record<string, string>,
  dtype: "F32" | "F16" = "F32",
): AsyncGenerator<Uint8Array> {
  const { BYTES_PER_ELEMENT } = dtype === "F16" ? Float16Array : Float32Array;
  yield encodeHeader(
    sources.map(({ name, shape }) => ({
      name,
      dtype,
      shape,
      byteLength: elementCount(shape) * BYTES_PER_ELEMENT,
    })),
    metadata,
  );
  for (const { read } of sources) {
    const values = await read();
    yield bytesOf(dtype === "F16" ? Float16Array.from(values) : values);
  }
}

function encodeHeader(
  tensors: readonly {
    name: string;
    dtype: string;
    shape: readonly number[];
    byteLength: number;
  }[],
  metadata: Record<string, string>,
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + byteLength] };
    offset += byteLength;
  }
  // Readers map the file into memory, so the tensors start at a multiple of eight.
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(" ".charCodeAt(0));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

function bytesOf(
  { buffer, byteOffset, byteLength }: StoredTensor["data"] | Float16Array,
): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
