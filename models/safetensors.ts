/**
 * Reads and writes safetensors, the format of Hugging Face's weights: eight bytes with the length of
 * a JSON header, the header, then the tensors' bytes.
 *
 * @module
 */
import { z } from "zod";
import { UserError } from "../data/user_error.ts";
import { elementCount } from "../onnx/shape.ts";

/** The element types that Graft writes, with the arrays that hold them. */
const ARRAYS = { F32: Float32Array, I32: Int32Array, I64: BigInt64Array } as const;

/** How each element type that Graft reads becomes an array; half precision becomes float32. */
const DECODERS: Record<
  string,
  { bytes: number; decode: (data: ArrayBuffer) => StoredTensor["data"] }
> = {
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

/**
 * Decodes a safetensors file. The tensors are copies of their bytes.
 *
 * @param file How error messages name the file.
 * @throws {UserError} If the bytes are not a well-formed safetensors file, or hold a tensor of a
 * type other than F32, F16, BF16, I32 and I64.
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const fail = (rule: string) => new UserError(`Cannot read '${file}': ${rule}`);
  if (bytes.length < LENGTH_BYTES) {
    throw fail(`expected a safetensors header, got ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const start = LENGTH_BYTES + headerLength;
  if (start > bytes.length) {
    throw fail(`its header needs ${headerLength} bytes, ${bytes.length - LENGTH_BYTES} are there`);
  }
  let header: z.infer<typeof Header>;
  let metadata: Record<string, string>;
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH_BYTES, start)));
    const { __metadata__ = {}, ...entries } = json;
    header = Header.parse(entries);
    metadata = Metadata.parse(__metadata__);
  } catch {
    throw fail("its header is not a safetensors header");
  }

  const tensors = new Map<string, StoredTensor>();
  let end = 0;
  const inOrder = Object.entries(header).sort(([, a], [, b]) =>
    a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]
  );
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of inOrder) {
    const type = Object.hasOwn(DECODERS, dtype) ? DECODERS[dtype] : undefined;
    if (type === undefined) {
      throw fail(`tensor '${name}' has type ${dtype}, which is not supported`);
    }
    if (to - from !== elementCount(shape) * type.bytes) {
      throw fail(`tensor '${name}' has ${to - from} bytes, which is not [${shape}] of ${dtype}`);
    }
    if (from !== end) throw fail(`tensor '${name}' starts at byte ${from}, expected ${end}`);
    if (start + to > bytes.length) throw fail(`tensor '${name}' ends after the file's end`);
    end = to;
    tensors.set(name, { shape, data: type.decode(bytes.slice(start + from, start + to).buffer) });
  }
  if (start + end !== bytes.length) {
    throw fail(`${bytes.length - start - end} bytes belong to no tensor`);
  }
  return { tensors, metadata };
}

/** A bfloat16 is the upper half of a float32. */
function decodeBfloat16(data: ArrayBuffer): Float32Array {
  const halves = new Uint16Array(data);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** Encodes tensors as a safetensors file, in the order given. */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    const dtype = Object.entries(ARRAYS).find(([, array]) => data instanceof array)![0];
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  // Readers map the file into memory, so the tensors start at a multiple of eight.
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + headerLength + offset).fill(
    0x20,
    0,
    LENGTH_BYTES + headerLength,
  );
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(json, LENGTH_BYTES);
  let position = LENGTH_BYTES + headerLength;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}
