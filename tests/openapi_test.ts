/**
 * The description of the routes, as programs that make clients of it need it.
 *
 * @module
 */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { join } from "node:path";
import { apiKey } from "../routes/access.ts";
import { LocalServer } from "./support/local_server.ts";

/** As much of JSON Schema as tells where schemas are. */
interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  anyOf?: Schema[];
}

interface Operation {
  operationId: string;
  summary: string;
  security: unknown[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

/** Objects with fields that have no name of their own, by where they are. */
function nameless(schema: Schema, at: string): string[] {
  const { properties = {}, items, additionalProperties, oneOf = [], anyOf = [] } = schema;
  const inner = [...Object.entries(properties), ...Object.entries([...oneOf, ...anyOf])];
  if (items !== undefined) inner.push(["items", items]);
  if (typeof additionalProperties === "object") inner.push(["values", additionalProperties]);
  return [
    ...Object.keys(properties).length === 0 ? [] : [at],
    ...inner.flatMap(([key, value]) => nameless(value, `${at}.${key}`)),
  ];
}

Deno.test("/openapi.json names every operation and every object", async () => {
  await using server = await LocalServer.start();
  const { paths, components } = await (await server.app.request("/openapi.json")).json();
  const operations = Object.values(paths as Record<string, Record<string, Operation>>)
    .flatMap((methods) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  for (const id of ids) match(id, /^[a-z]+([A-Z][a-z0-9]*)*$/);
  deepStrictEqual(ids, [...new Set(ids)]);
  const found = operations.flatMap(({ operationId, requestBody, responses }) =>
    [requestBody, ...Object.values(responses)].flatMap((part) =>
      Object.values(part?.content ?? {}).flatMap(({ schema }) => nameless(schema, operationId))
    )
  );
  for (const [name, schema] of Object.entries(components.schemas as Record<string, Schema>)) {
    found.push(...nameless(schema, name).filter((at) => at !== name));
  }
  deepStrictEqual(found, []);
});

/** A program that only compiles where the types are those of the routes. */
const CLIENT = `
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.ts";

const [baseUrl, key] = Deno.args;
const headers = { Authorization: \`Bearer \${key}\` };
const client = createClient<paths>({ baseUrl: baseUrl!, headers });

const inputs = ["a duet", { text: "bread", model: "titles" }];
const { data, error } = await client.POST("/v1/predict", { body: { inputs, top_k: 1 } });
if (data === undefined) throw new Error(error.error);
const labels: string[] = data.predictions.map((scores) => scores![0]!.label);

const params = { path: { name: "titles", alias: "stable" } };
const put = await client.PUT("/v1/models/{name}/aliases/{alias}", { params, body: { version: 1 } });
const versions: number[] = put.data!.aliases.stable!.map(({ version }) => version);

const classified = await client.POST("/classify", { body: { input: "a duet" } });
const first: components["schemas"]["Classification"] = classified.data!.data[0]!;

const refused = await client.GET("/v1/runs", { headers: { Authorization: "Bearer wrong" } });
// @ts-expect-error: a text is no number
await client.POST("/v1/predict", { body: { inputs: [7] } });
console.log(JSON.stringify([labels, versions, first.label, refused.error?.error_type]));
`;

Deno.test("a client made by openapi-typescript compiles and works", async () => {
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    apiKeys: [apiKey("owner", "secret")],
  });
  const description = await (await server.app.request("/openapi.json")).json();
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "openapi.json"), JSON.stringify(description));
    await Deno.writeTextFile(join(dir, "client.ts"), CLIENT);
    const imports = { "openapi-fetch": "npm:openapi-fetch@^0.17.0" };
    await Deno.writeTextFile(join(dir, "deno.json"), JSON.stringify({ imports }));
    const run = async (...args: string[]) => {
      const options = { args: ["run", "--quiet", "--no-prompt", ...args], cwd: dir };
      const { success, stdout, stderr } = await new Deno.Command("deno", options).output();
      strictEqual(success, true, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout);
    };
    const generator = [
      "--allow-env",
      "--allow-read",
      "--allow-write",
      "npm:openapi-typescript@^7.13",
    ];
    await run(
      ...generator,
      "openapi.json",
      "--output",
      "openapi.ts",
      "--default-non-nullable=false",
    );
    await using http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      server.app.fetch,
    );
    const url = `http://127.0.0.1:${http.addr.port}`;
    const printed = await run("--check", "--allow-net=127.0.0.1", "client.ts", url, "secret");
    const [labels, versions, label, errorType] = JSON.parse(printed);
    strictEqual(labels.length, 2);
    deepStrictEqual(versions, [1]);
    strictEqual(label, labels[0]);
    strictEqual(errorType, "unauthorized");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
