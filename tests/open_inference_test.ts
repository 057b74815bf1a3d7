/**
 * The extensions of the Open Inference Protocol: tensors in binary, and the repository.
 *
 * @module
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { decodeBytesTensor, encodeTensor, HEADER_LENGTH } from "../routes/binary_tensors.ts";
import { LocalServer, TEXTS } from "./support/local_server.ts";

const INFER = "/v2/models/titles/infer";

interface Output {
  name: string;
  shape: number[];
  data?: (string | number)[];
  parameters?: { binary_data_size: number };
}

interface Sent {
  data?: readonly string[];
  bytes?: Uint8Array;
  input?: object;
  request?: object;
  headLength?: number | string;
}

/** Sends texts in the binary form. */
async function infer(
  server: LocalServer,
  { data = TEXTS, bytes = encodeTensor({ datatype: "BYTES", data }), ...sent }: Sent,
) {
  const tensor = { name: "text", shape: [data.length, 1], datatype: "BYTES" };
  const parameters = { binary_data_size: bytes.length };
  const head = new TextEncoder().encode(JSON.stringify({
    inputs: [{ ...tensor, parameters, ...sent.input }],
    ...sent.request,
  }));
  return await server.app.request(INFER, {
    method: "POST",
    headers: {
      "Content-Type": "application/octet-stream",
      [HEADER_LENGTH]: String(sent.headLength ?? head.length),
    },
    body: Buffer.concat([head, bytes]),
  });
}

Deno.test("/v2 takes and gives tensors in binary, as in JSON", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const tensor = { name: "text", shape: [3], datatype: "BYTES", data: TEXTS };
  const { outputs: expected } = await server.post<{ outputs: Output[] }>(INFER, {
    inputs: [tensor],
  });
  const inJson = await (await infer(server, {})).json();
  deepStrictEqual(inJson.outputs, expected);

  for (
    const [request, binary] of [
      [{ parameters: { binary_data_output: true } }, ["label", "score", "labels", "scores"]],
      [
        { outputs: [{ name: "scores", parameters: { binary_data: true } }, { name: "label" }] },
        ["scores"],
      ],
      [
        {
          outputs: [{ name: "label", parameters: { binary_data: false } }, { name: "score" }],
          parameters: { binary_data_output: true },
        },
        ["score"],
      ],
    ] as const
  ) {
    const response = await infer(server, { request });
    strictEqual(response.headers.get("Content-Type"), "application/octet-stream");
    const body = new Uint8Array(await response.arrayBuffer());
    let start = Number(response.headers.get(HEADER_LENGTH));
    const { outputs }: { outputs: Output[] } = JSON.parse(
      new TextDecoder().decode(body.subarray(0, start)),
    );
    for (const { name, shape, data, parameters } of outputs) {
      const same = expected.find((output) => output.name === name)!;
      deepStrictEqual(shape, same.shape);
      strictEqual(data === undefined, (binary as readonly string[]).includes(name), name);
      if (data !== undefined) {
        deepStrictEqual(data, same.data);
        continue;
      }
      const bytes = body.slice(start, start += parameters!.binary_data_size);
      const values = name.startsWith("label")
        ? decodeBytesTensor(bytes)!.map((element) => new TextDecoder().decode(element))
        : [...new Float32Array(bytes.buffer)];
      const rounded = same.data!.map((value) =>
        typeof value === "number" ? Math.fround(value) : value
      );
      deepStrictEqual(values, rounded);
    }
    strictEqual(start, body.length);
  }
});

Deno.test("/v2 refuses binary tensors that are not what they say", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const size = "'inputs.0.parameters.binary_data_size': ";
  const long = encodeTensor({ datatype: "BYTES", data: [...TEXTS, "more"] });
  for (
    const [sent, status, error] of [
      [{ headLength: 1_000_000 }, 400, `${HEADER_LENGTH} must be at most`],
      [{ headLength: "-1" }, 400, `${HEADER_LENGTH} must be at most`],
      [{ headLength: 5 }, 400, "The body must be JSON"],
      [{ input: { parameters: { binary_data_size: 1e6 } } }, 422, size],
      [{ input: { parameters: { binary_data_size: 5 } } }, 422, size],
      [{ input: { parameters: { binary_data_size: 0 } } }, 400, "The body must end with"],
      [{ input: { parameters: { binary_data_size: "5" } } }, 422, "'inputs.0.data': "],
      [{ input: { datatype: "FP32" } }, 422, "'inputs.0.datatype': "],
      [{ bytes: long }, 422, "'inputs.0.shape': "],
      [{ bytes: Uint8Array.of(1, 0, 0, 0, 0xff) }, 422, "'inputs.0.data.0': must be UTF-8"],
      [{ data: ["a", " "] }, 422, "'inputs.0.data.1': "],
    ] as const
  ) {
    const response = await infer(server, sent);
    const answer = await response.json();
    strictEqual(response.status, status, answer.error);
    ok(answer.error.startsWith(error), answer.error);
  }
});

Deno.test("/v2/repository lists models, loads them and frees their memory", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1, other: 2 } });
  const post = async (path: string, body?: string) => {
    const response = await server.app.request(path, { method: "POST", ...body && { body } });
    return { status: response.status, text: await response.text() };
  };
  const { text } = await post("/v2/repository/index");
  deepStrictEqual(JSON.parse(text), [
    { name: "other", version: "1", state: "READY", reason: "" },
    { name: "titles", version: "1", state: "READY", reason: "" },
  ]);
  strictEqual((await post("/v2/repository/index", '{"ready": true}')).text, text);
  strictEqual((await post("/v2/repository/index", '{"ready": 1}')).status, 422);
  const loaded = () => server.cache.loaded.map(({ version }) => version.name);
  deepStrictEqual(loaded(), []);
  deepStrictEqual(await post("/v2/repository/models/titles/load"), { status: 200, text: "" });
  deepStrictEqual(loaded(), ["titles"]);
  const unload = '{"parameters": {"unload_dependents": false}}';
  strictEqual((await post("/v2/repository/models/titles/unload", unload)).status, 200);
  deepStrictEqual(loaded(), []);
  strictEqual((await post("/v2/repository/models/none/load")).status, 404);
  const config = await post(
    "/v2/repository/models/titles/load",
    '{"parameters": {"config": "{}"}}',
  );
  strictEqual(config.status, 422);
  match(config.text, /'parameters': /);
});
