/**
 * Requests that are not as they should be: the right status, an error that names the field, and a
 * server that goes on.
 *
 * @module
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { Executor } from "../onnx/runtime/executor.ts";
import { LocalServer } from "./support/local_server.ts";

const noTraining = () => {
  throw new Error("no training in this test");
};

/** As much of JSON Schema as the routes' descriptions use. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  items?: Schema;
}

interface Operation {
  responses: Record<string, unknown>;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: { "application/json"?: { schema: Schema } } };
}

interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const strangeNames = fc.oneof(
  fc.constantFrom("titles", "titles@1", "titles@2", "titles:x", "..", "../x", "a/b", "a\0b", " "),
  fc.constantFrom("__proto__", "constructor", "titles@1e9", "titles@-1", "%", "%2f", "@", ":"),
  fc.string({ minLength: 1, unit: "binary" }).filter((name) => name.isWellFormed()),
  fc.integer({ min: 50, max: 5000 }).map((length) => "x".repeat(length)),
);

const strangeValues = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom("", " ", "titles", "sample", 0, -1, 1e6, 1e308, 1.5, null, true, [], {}, [[]]),
);

/** Values that follow a schema, but for some of their parts. */
function nearly(schema: Schema, { components }: Description, depth = 0): fc.Arbitrary<unknown> {
  const follow = (next: Schema) => nearly(next, { components, paths: {} }, depth + 1);
  const following = (): fc.Arbitrary<unknown> => {
    if (depth > 6) return fc.constant(null);
    if (schema.$ref !== undefined) {
      return follow(components.schemas[schema.$ref.split("/").at(-1)!]!);
    }
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(follow));
    switch ([schema.type].flat()[0]) {
      case "object": {
        const parts = Object.entries(schema.properties ?? {})
          .map(([name, part]) => [name, follow(part)] as const);
        return fc.record(Object.fromEntries(parts), { requiredKeys: [] });
      }
      case "array":
        return fc.array(follow(schema.items ?? {}), { maxLength: 40 });
      case "integer":
        return fc.integer({ min: -2, max: 40 });
      case "number":
        return fc.double({ noNaN: true, noDefaultInfinity: true });
      case "boolean":
        return fc.boolean();
      case "string":
        return fc.oneof(fc.constantFrom("titles", "sample", "scratch:tiny", "a duet"), fc.string());
      default:
        return fc.jsonValue();
    }
  };
  return fc.oneof({ arbitrary: following(), weight: 9 }, { arbitrary: strangeValues, weight: 1 });
}

interface DescribedRequest {
  operation: Operation;
  path: string;
  init: RequestInit;
}

/** Requests to any route. */
function requests(description: Description): fc.Arbitrary<DescribedRequest> {
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  );
  return fc.oneof(...operations.map(({ path, method, operation }) => {
    const names = (operation.parameters ?? []).filter((it) => it.in === "path");
    const schema = operation.requestBody?.content["application/json"]?.schema;
    return fc.record({
      values: fc.tuple(...names.map(() => strangeNames)),
      body: schema === undefined ? fc.constant(undefined) : nearly(schema, description),
    }).map(({ values, body }) => ({
      operation,
      path: names.reduce((path, { name }, i) => {
        // The model has to stay for the other requests.
        const value = method === "delete" && values[i]!.startsWith("titles") ? "other" : values[i]!;
        return path.replace(`{${name}}`, encodeURIComponent(value));
      }, path),
      init: {
        method: method.toUpperCase(),
        ...body !== undefined && { body: JSON.stringify(body) },
      },
    }));
  }));
}

Deno.test("no request that follows the description, or nearly, is answered with 500", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 }, spawn: noTraining });
  const description: Description = await (await server.app.request("/openapi.json")).json();
  ok(Object.keys(description.paths).length >= 15);
  // Over a connection, as the way there has its own opinions of requests.
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    server.app.fetch,
  );
  const origin = `http://127.0.0.1:${http.addr.port}`;
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(requests(description), async ({ operation, path, init }) => {
      const response = await fetch(origin + path, init);
      statuses.add(response.status);
      const text = await response.text();
      const route = `${init.method} ${path}`;
      // A strange name may make another path, which is nobody's.
      const described = Object.keys(operation.responses).map(Number);
      if (![404, 405].includes(response.status)) {
        ok(described.includes(response.status), `${route}: ${response.status} is not described`);
      }
      if (response.status < 400) return;
      const { error, error_type } = JSON.parse(text);
      ok(response.status < 500, `${route}: ${response.status}, ${error}`);
      deepStrictEqual([typeof error, typeof error_type], ["string", "string"]);
      ok(response.headers.get("x-request-id"));
    }),
    { numRuns: 1500 },
  );
  for (const status of [200, 404, 422]) {
    ok(statuses.has(status), `no request was answered with ${status}`);
  }
  await server.post("/predict", { inputs: "a duet" });
});

Deno.test("bad bodies are refused, with the field's name where there is one", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const many = JSON.stringify({ inputs: Array.from({ length: 33 }, () => "a") });
  const invalidUtf8 = Uint8Array.of(
    ...new TextEncoder().encode('{"inputs": ["'),
    0xff,
    0x22,
    0x5d,
    0x7d,
  );
  for (
    const [body, status, error] of [
      ["", 400, /JSON/],
      ["{", 400, /JSON/],
      ['{"inputs": ["a"], "top_k": NaN}', 400, /JSON/],
      [invalidUtf8, 400, /UTF-8/],
      [deep, 422, /^'body': /],
      [`{"inputs": ${deep}}`, 422, /^'inputs/],
      ["null", 422, /^'body': /],
      ["[]", 422, /^'body': /],
      ["{}", 422, /^'inputs': /],
      ['{"inputs": "a"}', 422, /^'inputs': /],
      ['{"inputs": [7]}', 422, /^'inputs.0': /],
      ['{"inputs": [""]}', 422, /^'inputs.0': /],
      ['{"inputs": [{"text": "a", "texts": "b"}]}', 422, /^'inputs.0': /],
      ['{"inputs": ["a"], "top_k": 0}', 422, /^'top_k': /],
      ['{"inputs": ["a"], "top_k": "1"}', 422, /^'top_k': /],
      ['{"inputs": ["a"], "truncate": "yes"}', 422, /^'truncate': /],
      ['{"inputs": ["a"], "model": "../secret"}', 422, /^'model': there is no model/],
      ['{"inputs": ["a"], "model": "a%2fb"}', 422, /^'model': there is no model/],
      ['{"inputs": ["a"], "model": "a\\u0000"}', 422, /^'model': there is no model/],
      ['{"inputs": ["a"], "model": "titles@2"}', 422, /^'model': model 'titles' has no such/],
      ['{"inputs": ["a", {"text": "a", "model": "x"}]}', 422, /^'inputs.1.model': there is no/],
      [many, 413, /^'inputs': there are 33, and at most 32/],
      ["x".repeat(10_000_000), 413, /at most 2000000 bytes/],
    ] as const
  ) {
    const response = await server.app.request("/v1/predict", { method: "POST", body });
    const answer = await response.json();
    strictEqual(response.status, status, `${String(body).slice(0, 80)}: ${answer.error}`);
    match(answer.error, error);
  }
  await server.post("/v1/predict", { inputs: ["a"], top_k: 1_000_000 });
});

Deno.test("a client that goes away in the middle of a request harms nobody", async () => {
  const statuses: number[] = [];
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    log: ({ status }) => statuses.push(status),
  });
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    server.app.fetch,
  );
  const { port } = http.addr;
  const inputs = JSON.stringify({ inputs: "a duet" });
  const head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
  for (
    const sent of [
      head,
      `${head}Content-Length: 100\r\n\r\n{"inputs`,
      `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"inp`,
      `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{"inp`,
      `${head}Content-Length: ${inputs.length}\r\n\r\n${inputs}`,
    ]
  ) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode(sent));
    connection.close();
  }
  const answer = await fetch(`http://127.0.0.1:${port}/predict`, { method: "POST", body: inputs });
  strictEqual(answer.status, 200);
  await answer.body?.cancel();
  // Not every one of them reaches the application.
  await until(() => statuses.length >= 4);
  ok(statuses.every((status) => status < 500), statuses.join());
});

Deno.test("texts of a client that has gone are not classified", async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const statuses: number[] = [];
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    log: ({ status }) => statuses.push(status),
    cacheOptions: {
      startExecutor: async () => {
        await opened;
        return await Executor.start({ threads: 1 });
      },
    },
  });
  const signals: AbortSignal[] = [];
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      signals.push(request.signal);
      return server.app.fetch(request);
    },
  );
  const url = `http://127.0.0.1:${http.addr.port}/predict`;
  const body = JSON.stringify({ inputs: "a duet" });
  const leaving = new AbortController();
  const gone = fetch(url, { method: "POST", body, signal: leaving.signal }).catch(() => "gone");
  const staying = fetch(url, { method: "POST", body });
  await until(() => signals.length === 2);
  leaving.abort();
  strictEqual(await gone, "gone");
  await until(() => signals.some(({ aborted }) => aborted));
  open();
  const answer = await staying;
  strictEqual(answer.status, 200);
  await answer.body?.cancel();
  await until(() => statuses.length === 2);
  deepStrictEqual(statuses.sort(), [200, 499]);
  const metrics = await (await server.app.request("/metrics")).text();
  match(metrics, /graft_predictions_total{model="titles",version="1"} 1\n/);
  match(metrics, /graft_batch_rows_sum 1\n/);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
