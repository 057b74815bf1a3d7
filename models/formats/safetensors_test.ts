import { deepStrictEqual, ok, rejects, throws } from "node:assert";
import fc from "fast-check";
import { UserError } from "../../lib/user_error.ts";
import { elementCount } from "../../onnx/graph/shape.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  SafetensorsFile,
  safetensorsParts,
  type StoredTensor,
} from "./safetensors.ts";

const HEADER_LENGTH_BYTES = 8;

/** A file with a header, given as text or as a value for JSON, and this many bytes of data. */
function file(header: unknown, dataLength: number): Uint8Array {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(HEADER_LENGTH_BYTES + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, HEADER_LENGTH_BYTES);
  return bytes;
}

function floats(count: number, from: number, to: number) {
  return { dtype: "F32", shape: [count], data_offsets: [from, to] };
}

const name = fc.string({ unit: "grapheme" }).map((name) => `bert.${name}`);

const tensor: fc.Arbitrary<StoredTensor> = fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) => {
  const count = elementCount(shape);
  const length = { minLength: count, maxLength: count };
  return fc.oneof(fc.float32Array(length), fc.int32Array(length), fc.bigInt64Array(length))
    .map((data) => ({ shape, data }));
});

const content = fc.record({
  tensors: fc.uniqueArray(fc.tuple(name, tensor), { selector: ([name]) => name, maxLength: 6 })
    .map((entries) => new Map(entries)),
  metadata: fc.dictionary(name, fc.string({ unit: "grapheme" }), { noNullPrototype: true }),
}, { noNullPrototype: true });

Deno.test("decodeSafetensors() gives back what encodeSafetensors() wrote", () => {
  fc.assert(fc.property(content, (content) => {
    deepStrictEqual(decodeSafetensors(encodeSafetensors(content), "model"), content);
  }));
});

Deno.test("encodeSafetensors() puts the tensors at a multiple of eight bytes", () => {
  fc.assert(fc.property(content, (content) => {
    const bytes = encodeSafetensors(content);
    deepStrictEqual(new DataView(bytes.buffer).getBigUint64(0, true) % 8n, 0n);
    const size = [...content.tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    deepStrictEqual((bytes.length - size) % 8, 0);
  }));
});

Deno.test("encodeSafetensors() writes header and data as the format says", () => {
  const bytes = encodeSafetensors({
    tensors: new Map<string, StoredTensor>([
      ["b", { shape: [1, 2], data: Int32Array.of(1, -2) }],
      ["a", { shape: [], data: Float32Array.of(8, 0.5).subarray(1) }],
    ]),
    metadata: { format: "pt" },
  });
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const data = HEADER_LENGTH_BYTES + headerLength;
  const header = new TextDecoder().decode(bytes.subarray(HEADER_LENGTH_BYTES, data));
  deepStrictEqual(JSON.parse(header), {
    __metadata__: { format: "pt" },
    b: { dtype: "I32", shape: [1, 2], data_offsets: [0, 8] },
    a: { dtype: "F32", shape: [], data_offsets: [8, 12] },
  });
  deepStrictEqual([...bytes.subarray(data)], [1, 0, 0, 0, 254, 255, 255, 255, 0, 0, 0, 63]);
});

Deno.test("decodeSafetensors() reads a part of a larger buffer, tensors in any order", () => {
  const bytes = file({ last: floats(1, 4, 8), first: floats(1, 0, 4) }, 8);
  bytes.set([0, 0, 128, 63, 0, 0, 0, 64], bytes.length - 8);
  const buffer = new Uint8Array(bytes.length + 20).fill(255);
  buffer.set(bytes, 3);
  deepStrictEqual(decodeSafetensors(buffer.subarray(3, 3 + bytes.length), "model"), {
    tensors: new Map([
      ["first", { shape: [1], data: Float32Array.of(1) }],
      ["last", { shape: [1], data: Float32Array.of(2) }],
    ]),
    metadata: {},
  });
});

for (
  const [fault, bytes, message] of [
    ["nothing", new Uint8Array(), "expected a safetensors header, got 0 bytes"],
    ["half a length", new Uint8Array(7), "expected a safetensors header, got 7 bytes"],
    [
      "a header longer than the file",
      file("{}", 0).with(0, 200),
      "its header needs 200 bytes, 2 are there",
    ],
    [
      "a header of 2 ** 63 bytes",
      file("{}", 0).with(0, 0).with(7, 128),
      "its header needs 9223372036854776000 bytes, 2 are there",
    ],
    ["a header that is not JSON", file("{a}", 0), "its header is not a safetensors header"],
    ["null for a header", file("null", 0), "its header is not a safetensors header"],
    ["a tensor without a shape", file({ a: {} }, 0), "its header is not a safetensors header"],
    [
      "negative offsets",
      file({ a: floats(1, -4, 0) }, 4),
      "its header is not a safetensors header",
    ],
    [
      "metadata that is not text",
      file({ __metadata__: { epoch: 3 } }, 0),
      "its header is not a safetensors header",
    ],
    [
      "overlapping tensors",
      file({ a: floats(2, 0, 8), b: floats(2, 4, 12) }, 12),
      "tensor 'b' starts at byte 4, expected 8",
    ],
    [
      "a gap between tensors",
      file({ a: floats(1, 0, 4), b: floats(1, 8, 12) }, 12),
      "tensor 'b' starts at byte 8, expected 4",
    ],
    [
      "a gap before the first tensor",
      file({ a: floats(1, 4, 8) }, 8),
      "tensor 'a' starts at byte 4, expected 0",
    ],
    [
      "too many bytes for a shape",
      file({ a: floats(2, 0, 12) }, 12),
      "tensor 'a' has 12 bytes, which is not [2] of F32",
    ],
    [
      "a pointer of Git LFS",
      new TextEncoder().encode(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n",
      ),
      "it is the pointer that Git LFS leaves in the place of a file; fetch the file itself by " +
      "'git lfs pull' in its folder",
    ],
    [
      "a web page",
      new TextEncoder().encode("<!DOCTYPE html>\n<html>"),
      "it is a web page, not a model; download the file itself",
    ],
    [
      "too few bytes for a shape",
      file({ a: { dtype: "I64", shape: [3, 2], data_offsets: [0, 24] } }, 24),
      "tensor 'a' has 24 bytes, which is not [3,2] of I64",
    ],
    ["a tensor cut off", file({ a: floats(2, 0, 8) }, 7), "tensor 'a' ends after the file's end"],
    [
      "bytes behind the last tensor",
      file({ a: floats(1, 0, 4) }, 7),
      "3 bytes belong to no tensor",
    ],
  ] as const
) {
  Deno.test(`decodeSafetensors() refuses ${fault}`, () => {
    throws(() => decodeSafetensors(bytes, "model"), {
      name: "UserError",
      message: `Cannot read 'model': ${message}`,
    });
  });
}

Deno.test("decodeSafetensors() refuses a file that is cut anywhere", () => {
  fc.assert(fc.property(content, fc.nat(), (content, cut) => {
    const bytes = encodeSafetensors(content);
    throws(() => decodeSafetensors(bytes.subarray(0, cut % bytes.length), "model"), UserError);
  }));
});

Deno.test("decodeSafetensors() throws nothing but UserError, whatever the bytes", () => {
  const damaged = fc.tuple(content, fc.nat(), fc.nat(255)).map(([content, place, value]) => {
    const bytes = encodeSafetensors(content);
    return bytes.with(place % bytes.length, value);
  });
  const anyHeader = fc.tuple(fc.json(), fc.nat(20)).map(([header, length]) => file(header, length));
  const integer = fc.oneof(fc.nat(9), fc.constantFrom(-1, 0.5, 2 ** 40, 2 ** 60));
  const anyTensors = fc.tuple(
    fc.dictionary(
      fc.string(),
      fc.record({
        dtype: fc.oneof(fc.constantFrom("F32", "I64", "F16"), fc.string()),
        shape: fc.array(integer, { maxLength: 3 }),
        data_offsets: fc.tuple(integer, integer),
      }),
    ),
    fc.nat(20),
  ).map(([header, length]) => file(header, length));

  const inputs = fc.oneof(fc.uint8Array({ maxLength: 40 }), damaged, anyHeader, anyTensors);
  fc.assert(
    fc.property(inputs, (bytes) => {
      try {
        decodeSafetensors(bytes, "model");
      } catch (error) {
        ok(error instanceof UserError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("decodeSafetensors() reads half precision as float32", () => {
  // 1.5, -2 and the smallest step above 1, as float16 and as the upper halves of float32.
  const halves = new Float16Array([1.5, -2, 1 + 2 ** -10]);
  const floats = new Uint32Array(new Float32Array([1.5, -2, 1 + 2 ** -7]).buffer);
  const upper = Uint16Array.from(floats, (bits) => bits >>> 16);
  for (
    const [dtype, data, expected] of [
      ["F16", halves, [1.5, -2, 1 + 2 ** -10]],
      ["BF16", upper, [1.5, -2, 1 + 2 ** -7]],
    ] as const
  ) {
    const bytes = file({ a: { dtype, shape: [3], data_offsets: [0, 6] } }, 6);
    bytes.set(new Uint8Array(data.buffer), bytes.length - 6);
    const { tensors } = decodeSafetensors(bytes, "model");
    deepStrictEqual(tensors.get("a"), { shape: [3], data: Float32Array.from(expected) });
  }
});

Deno.test("SafetensorsFile reads what decodeSafetensors() reads, tensor by tensor", async () => {
  const path = await Deno.makeTempFile();
  try {
    await fc.assert(fc.asyncProperty(content, async (content) => {
      await Deno.writeFile(path, encodeSafetensors(content));
      using file = await SafetensorsFile.open(path);
      deepStrictEqual([...file.names()].sort(), [...content.tensors.keys()].sort());
      for (const [name, tensor] of content.tensors) deepStrictEqual(await file.read(name), tensor);
    }));
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("SafetensorsFile refuses a file that is cut anywhere, and a tensor that is not there", async () => {
  const path = await Deno.makeTempFile();
  try {
    const bytes = file({ a: floats(2, 0, 8) }, 8);
    for (let length = 0; length < bytes.length; length++) {
      await Deno.writeFile(path, bytes.subarray(0, length));
      await rejects(SafetensorsFile.open(path), { name: "UserError" }, `${length} bytes`);
    }
    await Deno.writeFile(path, bytes);
    using whole = await SafetensorsFile.open(path);
    await rejects(whole.read("b"), {
      name: "UserError",
      message: `Cannot read '${path}': it holds no tensor 'b'`,
    });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("safetensorsParts() writes what encodeSafetensors() writes", async () => {
  const tensors = new Map([
    ["a", { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
    ["b", { shape: [], data: Float32Array.of(5) }],
  ]);
  const metadata = { format: "pt" };
  const sources = [...tensors].map(([name, { shape, data }]) => ({
    name,
    shape,
    read: () => Promise.resolve(data),
  }));
  const parts = await Array.fromAsync(safetensorsParts(sources, metadata));
  deepStrictEqual(
    parts.flatMap((part) => [...part]),
    [...encodeSafetensors({ tensors, metadata })],
  );
});

Deno.test("SafetensorsFile reads what it can beside tensors of types that it cannot", async () => {
  const path = await Deno.makeTempFile();
  try {
    const tensors = {
      kept: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
      mask: { dtype: "BOOL", shape: [3], data_offsets: [4, 7] },
      packed: { dtype: "F4", shape: [2], data_offsets: [7, 8] },
      double: { dtype: "F64", shape: [1], data_offsets: [8, 16] },
    };
    const bytes = file(tensors, 16);
    await Deno.writeFile(path, bytes);
    using opened = await SafetensorsFile.open(path);
    deepStrictEqual((await opened.read("kept")).shape, [1]);
    ok((await opened.read("double")).data instanceof Float32Array);
    await rejects(opened.read("mask"), /tensor 'mask' has type BOOL, which is not supported$/);
    const decoded = decodeSafetensors(bytes, path).tensors;
    deepStrictEqual([...decoded.keys()], ["kept", "double"]);
  } finally {
    await Deno.remove(path);
  }
});
