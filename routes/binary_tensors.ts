/**
 * The binary form of the Open Inference Protocol: JSON, followed by the bytes of the tensors; a
 * header gives the length of the JSON.
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { parseJson, readBody } from "./body.ts";
import { invalidField } from "./errors.ts";
import { admissionOf, readJsonBody, replaceBody } from "./router.ts";

/** The header with the length of a body's JSON in bytes. */
export const HEADER_LENGTH = "Inference-Header-Content-Length";

/** A tensor's values. */
export interface TensorValues {
  datatype: "BYTES" | "FP32";
  data: readonly (string | number)[];
}

/** The bytes of a tensor: each text after its length, numbers in little-endian order. */
export function encodeTensor({ datatype, data }: TensorValues): Uint8Array<ArrayBuffer> {
  if (datatype === "BYTES") {
    return Buffer.concat(data.flatMap((text) => {
      const bytes = Buffer.from(String(text));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }));
  }
  const bytes = Buffer.alloc(data.length * 4);
  data.forEach((value, index) => bytes.writeFloatLE(Number(value), index * 4));
  return bytes;
}

/**
 * Decodes a BYTES tensor, whose elements each follow their length in 4 bytes, little-endian.
 *
 * @returns The elements; `undefined` if the lengths do not match the bytes.
 */
export function decodeBytesTensor(bytes: Uint8Array): Uint8Array[] | undefined {
  const elements: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < bytes.length;) {
    if (start + 4 > bytes.length) return undefined;
    const end = start + 4 + view.getUint32(start, true);
    if (end > bytes.length) return undefined;
    elements.push(bytes.subarray(start + 4, end));
    start = end;
  }
  return elements;
}

/** The part of a request that gives the places of its tensors' bytes; the route checks the rest. */
const Head = z.looseObject({
  inputs: z.array(z.looseObject({
    parameters: z.looseObject({ binary_data_size: z.int().min(0).optional() }).optional(),
  })),
});

/** Reads a body in JSON, or in the binary form, turned into JSON with the texts in `data`. */
export const readInferenceBody: MiddlewareHandler = async (context, next) => {
  const length = context.req.header(HEADER_LENGTH);
  if (length === undefined) return await readJsonBody(context, next);
  const bytes = await readBody(context.req.raw, admissionOf(context).payloadLimitBytes);
  if (!/^\d+$/.test(length) || Number(length) > bytes.length) {
    const message = `${HEADER_LENGTH} must be at most the body's ${bytes.length} bytes, and is ` +
      `'${length}'`;
    throw new HTTPException(400, { message });
  }
  const request = parseJson(bytes.subarray(0, Number(length)));
  replaceBody(context, Buffer.from(JSON.stringify(withTexts(request, bytes, Number(length)))));
  await next();
};

function withTexts(request: unknown, bytes: Uint8Array, headLength: number): unknown {
  const { data: head } = Head.safeParse(request);
  if (head === undefined) return request;
  let start = headLength;
  const inputs = head.inputs.map((input, index) => {
    const size = input.parameters?.binary_data_size;
    if (size === undefined) return input;
    const elements = start + size > bytes.length
      ? undefined
      : decodeBytesTensor(bytes.subarray(start, start + size));
    if (elements === undefined) {
      throw invalidField(
        `inputs.${index}.parameters.binary_data_size`,
        "must be the size of elements that each have their length before them in 4 bytes",
      );
    }
    start += size;
    return { ...input, data: elements.map((element, i) => textOf(element, index, i)) };
  });
  if (start < bytes.length) {
    const message = `The body must end with the tensors' bytes, and ${bytes.length - start} follow`;
    throw new HTTPException(400, { message });
  }
  return { ...head, inputs };
}

function textOf(bytes: Uint8Array, input: number, element: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidField(`inputs.${input}.data.${element}`, "must be UTF-8");
  }
}
