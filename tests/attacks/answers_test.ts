/**
 * Answers to requests that fail: one line that a client can use, whatever it sent. They do not grow
 * with the request, and reveal nothing about the server's folders.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeSafetensors } from "../../models/formats/safetensors.ts";
import { isOver, type RunState } from "../../orchestration/run_store.ts";
import { HttpServer } from "../../serving/http_server.ts";
import { LocalServer, writeModel } from "../support/local_server.ts";
import { pause } from "./attacked_server.ts";

const PROGRAM_DIR = fileURLToPath(new URL("../..", import.meta.url));
const MAX_ANSWER_LENGTH = 5000;
const LONG = "x".repeat(70_000);
const CSV = { "Content-Type": "text/csv" };

/** Checks the answers of one server. */
class Answers {
  constructor(readonly server: LocalServer) {}

  /** Checks an answer, and returns its status and error. */
  async check(what: string, response: Response): Promise<[number, string]> {
    const text = await response.text();
    ok(response.status < 500 || response.status === 503, `${what}: ${response.status} ${text}`);
    ok(text.length < MAX_ANSWER_LENGTH, `${what}: ${text.length} characters`);
    for (const dir of [this.server.runsDir, PROGRAM_DIR, "/.cache/"]) {
      const at = text.indexOf(dir);
      ok(at < 0, `${what}: ${text.slice(Math.max(0, at - 200), at + 200)}`);
    }
    ok(!/\n\s+at |os error/.test(text), `${what}: ${text}`);
    return [response.status, response.ok ? "" : JSON.parse(text).error];
  }

  async get(path: string): Promise<[number, string]> {
    return await this.check(path.slice(0, 80), await this.server.app.request(path));
  }

  async send(method: string, path: string, body: unknown, headers: HeadersInit = {}) {
    const sent = typeof body === "string" ? body : JSON.stringify(body);
    const response = await this.server.app.request(path, { method, body: sent, headers });
    return await this.check(`${method} ${path.slice(0, 80)} ${sent.slice(0, 80)}`, response);
  }
}

async function damage(dir: string, file: string, content: string | Uint8Array): Promise<void> {
  await (typeof content === "string"
    ? Deno.writeTextFile(join(dir, file), content)
    : Deno.writeFile(join(dir, file), content));
}

/** Damages to a model's files, all of which are found when it is loaded. */
const DAMAGES: Record<string, (dir: string) => Promise<void>> = {
  garbage: (dir) => damage(dir, "model.safetensors", crypto.getRandomValues(new Uint8Array(999))),
  "no-weights": async (dir) => {
    await Deno.remove(join(dir, "model.safetensors"));
    await Deno.remove(join(dir, "onnx"), { recursive: true });
  },
  "unreadable-weights": async (dir) => {
    await Deno.remove(join(dir, "model.safetensors"));
    await Deno.mkdir(join(dir, "model.safetensors"));
  },
  "no-tensors": (dir) =>
    damage(dir, "model.safetensors", encodeSafetensors({ tensors: new Map(), metadata: {} })),
  "no-json": (dir) => damage(dir, "tokenizer.json", "{"),
  "no-vocabulary": (dir) => damage(dir, "tokenizer.json", '{"model": {"type": "WordPiece"}}'),
  "deep-tokenizer": async (dir) => {
    const tokenizer = JSON.parse(await Deno.readTextFile(join(dir, "tokenizer.json")));
    const deep = '{"type":"Sequence","normalizers":['.repeat(3000) + "]}".repeat(3000);
    await damage(
      dir,
      "tokenizer.json",
      JSON.stringify({ ...tokenizer, normalizer: 0 }).replace(
        '"normalizer":0',
        `"normalizer":${deep}`,
      ),
    );
  },
  "link-to-itself": async (dir) => {
    await Deno.remove(join(dir, "tokenizer.json"));
    await Deno.symlink("tokenizer.json", join(dir, "tokenizer.json"));
  },
  "onnx-alone": async (dir) => {
    await Deno.remove(join(dir, "model.safetensors"));
    await damage(join(dir, "onnx"), "model.onnx", crypto.getRandomValues(new Uint8Array(999)));
  },
};

Deno.test("damaged models are answered without the server's folders", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const answers = new Answers(server);
  for (const [name, damage] of Object.entries(DAMAGES)) {
    await writeModel(join(server.runsDir, name), 2);
    await damage(join(server.runsDir, name));
  }
  await server.send("POST", "/v1/predict", { inputs: ["a duet"], model: "titles" });
  for (const model of Object.keys(DAMAGES)) {
    for (
      const [path, body] of [
        ["/v1/predict", { inputs: ["a duet"], model }],
        ["/v1/explain", { text: "a duet", model }],
        ["/v1/evaluations", { dataset: "sample", model }],
      ] as const
    ) {
      const [status] = await answers.send("POST", path, body);
      ok(status === 424 || status === 422 || status === 202, `${model} ${path}: ${status}`);
    }
    await answers.get(`/v1/models/${model}`);
    await answers.get(`/v2/models/${model}`);
  }
  const [status] = await answers.send("POST", "/v1/predict", {
    inputs: ["a duet"],
    model: "titles",
  });
  strictEqual(status, 200);
});

Deno.test("weights that overflow are an error of the model", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const file = join(server.runsDir, "titles", "model.safetensors");
  const bytes = await Deno.readFile(file);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const values = new DataView(bytes.buffer, start);
  for (let i = 0; i + 4 <= values.byteLength; i += 4) values.setFloat32(i, 3e38, true);
  await Deno.writeFile(file, bytes);
  const answers = new Answers(server);
  const [status, error] = await answers.send("POST", "/v1/predict", { inputs: ["a duet"] });
  strictEqual(status, 424);
  ok(/must be finite/.test(error), error);
});

Deno.test("answers do not grow with what was sent", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const answers = new Answers(server);
  const run = { dataset: "sample", model: "scratch:tiny", max_steps: 1 };
  const columns = Array.from({ length: 100_000 }, (_, i) => `c${i}`).join(",");
  const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 1]));
  for (
    const [path, body] of [
      ["/v1/runs", { ...run, freeze: LONG }],
      ["/v1/runs", { ...run, dataset: LONG }],
      ["/v1/runs/settings", { ...run, freeze: "a,".repeat(30_000) }],
      ["/v1/predict", { inputs: ["a"], model: LONG }],
      ["/v1/predict", { inputs: ["a"], [LONG]: 1 }],
      ["/v1/predict", { inputs: ["a"], ...keys }],
      ["/v1/predict", { inputs: Array.from({ length: 100_000 }, (_, i) => i) }],
      ["/v1/explain", { text: "a duet", label: LONG }],
    ] as const
  ) {
    const [status] = await answers.send("POST", path, body);
    ok(status === 422 || status === 413, `${path}: ${status}`);
  }
  for (
    const [path, table] of [
      ["/v1/datasets?name=wide", `${columns}\n1,2\n`],
      ["/v1/datasets?name=wide", `${LONG}\na\n`],
      [`/v1/datasets?name=wide&text=${LONG}`, "text,label\na,b\n"],
      [`/v1/datasets?name=wide&encoding=${LONG}`, "text,label\na,b\n"],
    ] as const
  ) strictEqual((await answers.send("POST", path, table, CSV))[0], 422, path.slice(0, 50));
  for (const path of [`/v1/runs/${LONG}`, `/v1/runs?after=${LONG}`, `/${LONG}`]) {
    strictEqual((await answers.get(path))[0], 404);
  }
});

Deno.test("runs and evaluations do not say where they are, nor when they fail", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const answers = new Answers(server);
  const { id } = await server.post<{ id: string }>("/v1/runs", {
    dataset: "sample",
    model: "scratch:tiny",
    freeze: "nothing.of.this",
  }, 202);
  const trained = await server.post<{ id: string }>("/v1/runs", {
    dataset: "sample",
    model: "titles",
    max_steps: 1,
    max_train_samples: 20,
    partner: "none",
  }, 202);
  await writeModel(join(server.runsDir, "damaged"), 2);
  const asked = await server.post<{ id: string }>(
    "/v1/evaluations",
    { dataset: "sample", model: "damaged" },
    202,
  );
  await DAMAGES["garbage"]!(join(server.runsDir, "damaged"));
  for (
    const [path, state] of [
      [`/v1/runs/${id}`, "failed"],
      [`/v1/runs/${trained.id}`, "succeeded"],
      [`/v1/evaluations/${asked.id}`, "failed"],
    ] as const
  ) {
    let it: { state: RunState; error?: string } = { state: "queued" };
    for (; !isOver(it); await pause(50)) it = await (await server.app.request(path)).json();
    deepStrictEqual([it.state, it.error !== undefined], [state, state === "failed"]);
    await answers.get(path);
  }
  for (const run of [id, trained.id]) {
    await answers.get(`/v1/runs/${run}/events`);
    await answers.get(`/v1/runs/${run}/history`);
  }
});

Deno.test("what is no HTTP is refused, and nothing fails here", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 }, loopbackOnly: true });
  await using http = HttpServer.listen(
    { hostname: "127.0.0.1", port: 0, maxConnections: 10 },
    server.app.fetch,
  );
  const status = async (request: string) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: http.address.port });
    await connection.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(10_000);
    const read = await connection.read(buffer);
    return Number(new TextDecoder().decode(buffer.subarray(0, read ?? 0)).split(" ")[1]);
  };
  for (
    const host of [
      "127.0.0.1, evil.example",
      "127.0.0.1:99999",
      "127.0.0.1:80:80",
      "a b",
      "[::1",
      "me@127.0.0.1",
      "127.0.0.1/..",
      "127.0.0.1#",
    ]
  ) {
    strictEqual(await status(`GET /v1/models HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 400, host);
  }
  strictEqual(await status("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"), 200);
  const head =
    "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
    "Transfer-Encoding: chunked\r\n\r\n";
  for (const chunk of ["zz\r\n", `1;${"e".repeat(20_000)}\r\n{\r\n`.repeat(3)]) {
    // The connection may end before the answer has come.
    ok(!(await status(head + chunk) >= 500), chunk.slice(0, 30));
  }
});
