/**
 * Bodies of requests: their media types, compression and limits.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";

/** The compressions in `Content-Encoding`, under the names of `DecompressionStream`. */
const COMPRESSIONS: Record<string, "gzip" | "deflate" | undefined> = {
  "": undefined,
  identity: undefined,
  gzip: "gzip",
  "x-gzip": "gzip",
  deflate: "deflate",
};

/** The time within which a body that is read into memory must arrive. */
const BODY_TIMEOUT_MS = 30_000;

/** The size of the pieces of a compressed body: each may expand a thousandfold at once. */
const COMPRESSED_PIECE_BYTES = 1024;

/** The media type of a request's body, in lower case and without parameters; "" if it has none. */
export function mediaTypeOf({ headers }: Request): string {
  return (headers.get("Content-Type") ?? "").split(";")[0]!.trim().toLowerCase();
}

/** Refuses a body of another media type, with 415. */
export function refuseMediaType(request: Request, accepted: string): HTTPException {
  const given = request.headers.get("Content-Type");
  const message = `The body must be ${accepted}, and its Content-Type is '${given}'`;
  return new HTTPException(415, { message });
}

/**
 * The bytes of a request's body, decompressed, as they come.
 *
 * @param what The subject of the message if there are more than `maxBytes`, decompressed.
 * @param timeoutMs The time within which the whole body must arrive.
 * @throws {HTTPException} 400 if it is not compressed as declared, 408 if it does not arrive in
 * time, 413 if it is longer, 415 if its compression is not supported.
 */
export async function* decodedBody(
  request: Request,
  maxBytes: number,
  what: string = "The body",
  timeoutMs = BODY_TIMEOUT_MS,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const tooLong = () =>
    new HTTPException(413, { message: `${what} must be at most ${maxBytes} bytes` });
  if (Number(request.headers.get("Content-Length")) > maxBytes) throw tooLong();
  let size = 0;
  for await (const chunk of decompressed(request, timeoutMs)) {
    size += chunk.length;
    if (size > maxBytes) throw tooLong();
    yield chunk;
  }
}

async function* decompressed(
  { body, headers }: Request,
  timeoutMs: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const name = (headers.get("Content-Encoding") ?? "").trim().toLowerCase();
  if (!Object.hasOwn(COMPRESSIONS, name)) {
    throw new HTTPException(415, {
      message: `Content-Encoding must be gzip or deflate, and is '${name}'`,
      res: new Response(null, { headers: { "Accept-Encoding": "gzip, deflate" } }),
    });
  }
  const compression = COMPRESSIONS[name];
  const bytes = inTime(body, timeoutMs);
  if (compression === undefined) return yield* bytes;
  const pieces = inPieces(bytes);
  let first = new Uint8Array(0);
  while (first.length < ZLIB_HEADER_BYTES) {
    const { value } = await pieces.next();
    if (value === undefined) break;
    first = new Uint8Array(await new Blob([first, value]).arrayBuffer());
  }
  // Some clients leave out the header of zlib.
  const format = compression === "deflate" && !hasZlibHeader(first) ? "deflate-raw" : compression;
  try {
    yield* ReadableStream.from(startingWith(first, pieces))
      .pipeThrough(new DecompressionStream(format));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = `The body is not compressed by ${compression}, as its Content-Encoding says`;
    throw new HTTPException(400, { message });
  }
}

const ZLIB_HEADER_BYTES = 2;

/** Whether the first bytes are a header of zlib (RFC 1950). */
function hasZlibHeader([method = 0, flags = 0]: Uint8Array): boolean {
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}

async function* startingWith<Item>(
  first: Item,
  rest: AsyncIterable<Item>,
): AsyncGenerator<Item> {
  yield first;
  yield* rest;
}

async function* inTime(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  timeoutMs: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (body === null) return;
  const reader = body.getReader();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reader.cancel().catch(() => {});
  }, timeoutMs);
  try {
    for (let chunk; (chunk = (await reader.read()).value) !== undefined;) yield chunk;
  } catch (error) {
    // Deno has no more specific error for it.
    if (!(error instanceof Error && /invalid HTTP/.test(error.message))) throw error;
    throw new HTTPException(400, { message: "The body is not in chunks, as it is said to be" });
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  if (!isLate) return;
  throw new HTTPException(408, { message: `The body did not come within ${timeoutMs / 1000} s` });
}

async function* inPieces(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += COMPRESSED_PIECE_BYTES) {
      yield chunk.subarray(start, start + COMPRESSED_PIECE_BYTES);
    }
  }
}

/** Reads a whole body, as {@link decodedBody} yields it. */
export async function readBody(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(
    await new Response(ReadableStream.from(decodedBody(request, maxBytes))).arrayBuffer(),
  );
}

/**
 * The media types that clients send for JSON: `curl -d` declares a form, `fetch` plain text, and
 * Triton's client bytes.
 */
const JSON_TYPES =
  /^(|(application|text)\/json|application\/[^/]+\+json|text\/plain|application\/(octet-stream|x-www-form-urlencoded))$/;

/** The limits of a body of JSON. */
export interface JsonLimits {
  /** The most bytes, decompressed. */
  payloadLimitBytes: number;
  /** The most items of a list or object. */
  maxItems: number;
}

/**
 * Reads a whole body of JSON in UTF-8.
 *
 * @throws {HTTPException} 415 if it has another media type, 400 if it is not JSON, 413 if it is too
 * large.
 */
export async function readJson(
  request: Request,
  { payloadLimitBytes, maxItems }: JsonLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const { charset } = /;\s*charset="?(?<charset>[^";\s]*)/i
    .exec(request.headers.get("Content-Type") ?? "")?.groups ?? {};
  if (!JSON_TYPES.test(mediaTypeOf(request)) || !/^(utf-?8|us-ascii)$/i.test(charset ?? "utf-8")) {
    throw refuseMediaType(request, "JSON in UTF-8, application/json");
  }
  const bytes = await readBody(request, payloadLimitBytes);
  if (bytes.length > 0) checkItems(parseJson(bytes), maxItems);
  return bytes;
}

/**
 * Refuses a body that would take long to check: each wrong item is a fault to be described.
 *
 * @throws {HTTPException} 413 if a list or object has too many items.
 */
function checkItems(json: unknown, maxItems: number): void {
  const rest = [json];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value !== "object" || value === null) continue;
    const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
    if (items.length > maxItems) {
      const message = `A list in the body has ${items.length} items, and at most ${maxItems} are ` +
        "allowed";
      throw new HTTPException(413, { message });
    }
    for (const item of items) if (typeof item === "object") rest.push(item);
  }
}

/**
 * Parses JSON in UTF-8.
 *
 * @throws {HTTPException} 400 if it is not JSON.
 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new HTTPException(400, { message: "The body must be JSON in UTF-8" });
  }
}
