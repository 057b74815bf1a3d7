/**
 * Writes a graph as the bytes of an ONNX ModelProto. Field numbers are those of `onnx.proto`.
 *
 * @module
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type {
  Attributes,
  ElementType,
  Graph,
  Node,
  QuantizedData,
  Tensor,
  TensorData,
} from "./graph.ts";

const IR_VERSION = 10;
const OPSET_VERSION = 21;
/** The numbers by which ONNX knows the element types. */
export const ELEMENT_TYPES: Record<ElementType, number> = {
  float32: 1,
  int8: 3,
  int64: 7,
  bool: 9,
};
const ATTRIBUTE_TYPES = { float: 1, integer: 2, string: 3, integers: 7 };

/** How a graph is encoded. */
export interface EncodeOptions {
  /**
   * Whether the nodes are written from the last to the first, which ONNX does not provide for.
   * onnxruntime computes the output whose node was written last, with its inputs, before any other.
   * It thus computes each gradient of a training graph as early as it can, and frees its inputs.
   */
  backwards?: boolean;
  /** The model's `metadata_props`. */
  metadata?: Readonly<Record<string, string>>;
}

const METADATA_FIELD = 14;

/**
 * Encodes the part of a graph that its outputs depend on.
 *
 * @returns A serialised ModelProto, ready for `InferenceSession.create`.
 */
export function encodeModel(graph: Graph, options: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  const parts = modelParts(graph, options);
  const bytes = new Uint8Array(byteCount(parts));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/**
 * The bytes of {@link encodeModel} in pieces, for a `.onnx` file: initializers are not copied.
 */
export function modelParts(graph: Graph, options: EncodeOptions = {}): Uint8Array[] {
  const writer = new BinaryWriter();
  varint(writer, 1, IR_VERSION);
  text(writer, 2, "graft");
  message(writer, 8, () => varint(writer, 2, OPSET_VERSION));
  message(writer, 8, () => {
    text(writer, 1, "com.microsoft");
    varint(writer, 2, 1);
  });
  for (const [key, value] of Object.entries(options.metadata ?? {})) {
    message(writer, METADATA_FIELD, () => {
      text(writer, 1, key);
      text(writer, 2, value);
    });
  }
  return [writer.finish(), ...withHead(7, graphParts(graph, options))];
}

/** The metadata of a serialised ModelProto; empty if the bytes are not one. */
export function modelMetadata(model: Uint8Array): Map<string, string> {
  const metadata = new Map<string, string>();
  try {
    const reader = new BinaryReader(model);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field !== METADATA_FIELD || type !== WireType.LengthDelimited) {
        reader.skip(type, field);
        continue;
      }
      const entry = new BinaryReader(reader.bytes());
      const texts = new Map<number, string>();
      while (entry.pos < entry.len) {
        const [field] = entry.tag();
        texts.set(field, entry.string());
      }
      metadata.set(texts.get(1) ?? "", texts.get(2) ?? "");
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return new Map();
  }
  return metadata;
}

/** The fields of ONNX's messages that may hold tensors, with the kind of message in each. */
const NESTED: Record<string, Record<number, string>> = {
  model: { 7: "graph", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse tensor" },
  function: { 7: "node", 11: "attribute" },
  node: { 5: "attribute" },
  attribute: {
    5: "tensor",
    6: "graph",
    10: "tensor",
    11: "graph",
    22: "sparse tensor",
    23: "sparse tensor",
  },
  "sparse tensor": { 1: "tensor", 2: "tensor" },
  tensor: { 13: "external data" },
};
/** Graphs within graphs go no deeper. */
const MAX_DEPTH = 100;

/** Whether the bytes are a ModelProto that names other files for values of tensors. */
export function hasExternalData(model: Uint8Array): boolean {
  try {
    return holdsExternalData(model, "model", 0);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return false;
  }
}

function holdsExternalData(bytes: Uint8Array, kind: string, depth: number): boolean {
  // Graphs nested too deep to search may hold it.
  if (kind === "external data" || depth > MAX_DEPTH) return true;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const nested = NESTED[kind]![field];
    if (nested === undefined || type !== WireType.LengthDelimited) reader.skip(type, field);
    else if (holdsExternalData(reader.bytes(), nested, depth + 1)) return true;
  }
  return false;
}

function graphParts(graph: Graph, { backwards = false }: EncodeOptions): Uint8Array[] {
  const { nodes, tensors } = neededFor(graph);
  const writer = new BinaryWriter();
  const names = new Map([...tensors].map((tensor) => [tensor, tensor.name]));
  const given = new Set<Tensor>([...graph.inputs, ...graph.initializers.keys()]);
  for (const [name, tensor] of graph.outputs) if (!given.has(tensor)) names.set(tensor, name);

  for (const node of backwards ? nodes.toReversed() : nodes) {
    message(writer, 1, () => writeNode(writer, node, names));
  }
  // A tensor has one name; an output under a second one is a copy.
  for (const [name, tensor] of graph.outputs) {
    const source = names.get(tensor)!;
    if (source === name) continue;
    message(writer, 1, () => {
      text(writer, 1, source);
      text(writer, 2, name);
      text(writer, 4, "Identity");
    });
  }
  text(writer, 2, "graph");
  for (const input of graph.inputs) {
    if (!tensors.has(input)) continue;
    message(writer, 11, () => writeValueInfo(writer, input.name, input));
  }
  for (const [name, tensor] of graph.outputs) {
    message(writer, 12, () => writeValueInfo(writer, name, tensor));
  }
  const initializers = [...graph.initializers].filter(([tensor]) => tensors.has(tensor));
  return [
    writer.finish(),
    ...initializers.flatMap(([{ name }, value]) => withHead(5, tensorParts(name, value))),
  ];
}

/** The nodes and tensors that the graph's outputs depend on. */
export function neededFor(graph: Graph): { nodes: Node[]; tensors: Set<Tensor> } {
  const tensors = new Set(graph.outputs.values());
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => tensors.has(output))) continue;
    nodes.push(node);
    for (const input of node.inputs) tensors.add(input);
  }
  return { nodes: nodes.reverse(), tensors };
}

function writeNode(writer: BinaryWriter, node: Node, names: Map<Tensor, string>): void {
  for (const input of node.inputs) text(writer, 1, names.get(input)!);
  // An empty name tells onnxruntime not to compute an optional output.
  for (const output of node.outputs) text(writer, 2, names.get(output) ?? "");
  text(writer, 4, node.operator);
  for (const [name, value] of Object.entries(node.attributes)) {
    message(writer, 5, () => writeAttribute(writer, name, value));
  }
  if (node.domain !== "") text(writer, 7, node.domain);
}

function writeAttribute(writer: BinaryWriter, name: string, value: Attributes[string]): void {
  text(writer, 1, name);
  if (typeof value === "number") {
    varint(writer, 3, value);
    varint(writer, 20, ATTRIBUTE_TYPES.integer);
  } else if (typeof value === "string") {
    text(writer, 4, value);
    varint(writer, 20, ATTRIBUTE_TYPES.string);
  } else if ("float" in value) {
    writer.tag(2, WireType.Bit32).float(value.float);
    varint(writer, 20, ATTRIBUTE_TYPES.float);
  } else {
    for (const item of value) varint(writer, 8, item);
    varint(writer, 20, ATTRIBUTE_TYPES.integers);
  }
}

function tensorParts(
  name: string,
  { type, shape, data }: TensorData | QuantizedData,
): Uint8Array[] {
  const writer = new BinaryWriter();
  for (const dimension of shape) varint(writer, 1, dimension);
  varint(writer, 2, ELEMENT_TYPES[type]);
  text(writer, 8, name);
  const values = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [writer.finish(), ...withHead(9, [values])];
}

function writeValueInfo(writer: BinaryWriter, name: string, { type, shape }: Tensor): void {
  text(writer, 1, name);
  message(writer, 2, () =>
    message(writer, 1, () => {
      varint(writer, 1, ELEMENT_TYPES[type]);
      message(writer, 2, () => {
        for (const dimension of shape) {
          message(writer, 1, () => {
            if (typeof dimension === "number") varint(writer, 1, dimension);
            else text(writer, 2, dimension);
          });
        }
      });
    }));
}

/** A length-delimited field, such as a message, whose content comes in pieces. */
function withHead(field: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const head = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteCount(parts));
  return [head.finish(), ...parts];
}

function byteCount(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function message(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function varint(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}
