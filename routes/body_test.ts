import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import fc from "fast-check";
import { HTTPException } from "hono/http-exception";
import { decodedBody, readBody, readJson } from "./body.ts";

type Compression = "gzip" | "deflate" | "deflate-raw";

const COMPRESSIONS = [
  ["gzip", "gzip"],
  ["X-Gzip", "gzip"],
  ["deflate", "deflate"],
  ["deflate", "deflate-raw"],
] as const;

async function compress(bytes: Uint8Array<ArrayBuffer>, by: Compression) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(by));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function requestOf(body: BodyInit, headers: HeadersInit = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

/** Fails unless a promise is rejected with this status. */
async function refused(promise: Promise<unknown>, status: number, message: RegExp) {
  await rejects(promise, (error) => {
    ok(error instanceof HTTPException, String(error));
    strictEqual(error.status, status);
    match(error.message, message);
    return true;
  });
}

Deno.test("readBody() gives what was compressed, however it was cut", async () => {
  const bodies = fc.uint8Array({ maxLength: 5000 });
  const cuts = fc.integer({ min: 1, max: 6000 });
  const compressions = fc.constantFrom(...COMPRESSIONS);
  await fc.assert(
    fc.asyncProperty(bodies, cuts, compressions, async (body, cut, [name, compression]) => {
      const bytes = await compress(new Uint8Array(body), compression);
      const chunks = ReadableStream.from((function* () {
        for (let i = 0; i < bytes.length; i += cut) yield bytes.slice(i, i + cut);
      })());
      const request = requestOf(chunks, { "Content-Encoding": name });
      deepStrictEqual(await readBody(request, 5000), new Uint8Array(body));
    }),
    {
      examples: [[Uint8Array.of(1, 2), 1, COMPRESSIONS[2]], [Uint8Array.of(1), 1, COMPRESSIONS[3]]],
    },
  );
});

Deno.test("readBody() stops at the limit, which is that of the decompressed body", async () => {
  const zeros = await compress(new Uint8Array(20_000_000), "gzip");
  let sent = 0;
  const chunks = new ReadableStream({
    pull(controller) {
      controller.enqueue(zeros.slice(sent, sent += 2000));
      if (sent >= zeros.length) controller.close();
    },
  });
  const bomb = requestOf(chunks, { "Content-Encoding": "gzip" });
  await refused(readBody(bomb, 100_000), 413, /^The body must be at most 100000 bytes$/);
  ok(sent < zeros.length / 2, `${sent} bytes of ${zeros.length} were read`);
  const honest = requestOf(zeros, { "Content-Encoding": "gzip" });
  strictEqual((await readBody(honest, 20_000_000)).length, 20_000_000);
  const long = requestOf("x", { "Content-Length": "100001" });
  await refused(readBody(long, 100_000), 413, /at most 100000/);
});

Deno.test("readBody() refuses what is not compressed as it is called", async () => {
  const gzip = await compress(new TextEncoder().encode("a text that is long enough"), "gzip");
  for (const body of [new TextEncoder().encode("a text"), gzip.slice(0, -5), gzip.slice(3)]) {
    const request = requestOf(body, { "Content-Encoding": "gzip" });
    await refused(readBody(request, 1000), 400, /not compressed by gzip/);
  }
  for (const name of ["br", "zstd", "gzip, gzip", "constructor"]) {
    const request = requestOf(gzip, { "Content-Encoding": name });
    await refused(readBody(request, 1000), 415, /must be gzip or deflate, and is/);
  }
});

const LIMITS = { payloadLimitBytes: 10, maxItems: 3 };

Deno.test("readJson() takes JSON under its names, and those of common clients", async () => {
  for (
    const type of [
      "application/json",
      "Application/JSON; charset=UTF-8",
      'application/json; charset="utf-8"',
      "application/vnd.api+json",
      "text/plain;charset=UTF-8",
      "application/x-www-form-urlencoded",
      "application/octet-stream",
    ]
  ) {
    strictEqual(
      (await readJson(requestOf("[1]", { "Content-Type": type }), LIMITS)).length,
      3,
      type,
    );
  }
  strictEqual((await readJson(requestOf(new Blob(["[1]"])), LIMITS)).length, 3);
  for (
    const type of [
      "text/csv",
      "application/json-seq",
      "multipart/form-data; boundary=x",
      "application/json; charset=iso-8859-1",
      "application/jsonx",
    ]
  ) {
    const request = requestOf("[1]", { "Content-Type": type });
    await refused(readJson(request, LIMITS), 415, /must be JSON in UTF-8.*Content-Type is '/);
  }
  await refused(readJson(requestOf("["), LIMITS), 400, /JSON/);
  for (const json of ["[1,2,3,4]", "[[[1,1,1,1]]]", '{"a":[{}],"b":[4,4,4,4]}']) {
    const limits = { ...LIMITS, payloadLimitBytes: 100 };
    await refused(readJson(requestOf(json), limits), 413, /has 4 items, and at most 3/);
  }
});

Deno.test("decodedBody() waits so long for a body, and no longer", async () => {
  const never = new ReadableStream({ start: (it) => it.enqueue(new Uint8Array(3)) });
  const parts = decodedBody(requestOf(never), 10, "The body", 20);
  await refused(Array.fromAsync(parts), 408, /^The body did not come within 0\.02 s$/);
});
