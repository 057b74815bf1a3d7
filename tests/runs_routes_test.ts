/**
 * `/v1/runs`, `/v1/datasets` and `/v1/storage`, without training: workers are few or none.
 *
 * @module
 */
import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert";
import { dirname, join } from "node:path";
import { SAMPLE_DIR } from "../data/dataset.ts";
import { newRun, type Run } from "../orchestration/run_store.ts";
import { LocalServer, writeModel } from "./support/local_server.ts";

/** The configuration of a small RoBERTa. */
const ROBERTA = {
  model_type: "roberta",
  vocab_size: 50,
  hidden_size: 768,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 16,
  max_position_embeddings: 40,
  type_vocab_size: 1,
  pad_token_id: 1,
};

/** A server that trains nothing. */
function idle(options: Parameters<typeof LocalServer.start>[0] = {}): Promise<LocalServer> {
  return LocalServer.start({ supervisorOptions: { workers: 0 }, ...options });
}

async function get<Answer>(server: LocalServer, path: string): Promise<Answer> {
  return await (await server.app.request(path)).json();
}

Deno.test("the same request with an Idempotency-Key creates one run", async () => {
  await using server = await idle();
  const send = (body: object, key: string) =>
    server.send("POST", "/v1/runs", { dataset: "sample", ...body }, { "Idempotency-Key": key });
  const first = await (await send({}, "a")).json();
  const again = await send({}, "a");
  strictEqual(again.status, 202);
  strictEqual((await again.json()).id, first.id);
  notStrictEqual((await (await send({}, "b")).json()).id, first.id);
  const other = await send({ epochs: 3 }, "a");
  strictEqual(other.status, 409);
  match((await other.json()).error, /'a' was used for another request/);
  strictEqual((await server.store.list()).length, 2);

  const atOnce = await Promise.all(Array.from({ length: 5 }, () => send({}, "c")));
  deepStrictEqual(atOnce.map(({ status }) => status), Array(5).fill(202));
  strictEqual(new Set(await Promise.all(atOnce.map(async (it) => (await it.json()).id))).size, 1);
  strictEqual((await server.store.list()).length, 3);
  strictEqual((await send({}, "k".repeat(201))).status, 422);
});

Deno.test("runs are listed by page, state and name", async () => {
  await using server = await idle();
  const fields = { settings: {}, base: "scratch:tiny", dataset: "sample" };
  for (let i = 0; i < 5; i++) {
    const created_at = `2026-01-0${i + 1}T00:00:00Z`;
    const name = i % 2 === 0 ? "even" : "odd";
    await server.store.create(newRun({ id: `run-${i}`, name, created_at, ...fields }));
  }
  await server.store.setState("run-4", "failed");
  const page = async (query: string) => {
    const { runs, next } = await get<{ runs: Run[]; next: string | null }>(
      server,
      `/v1/runs?${query}`,
    );
    return [runs.map(({ id }) => id), next];
  };
  deepStrictEqual(await page("limit=2"), [["run-4", "run-3"], "run-3"]);
  deepStrictEqual(await page("limit=2&after=run-3"), [["run-2", "run-1"], "run-1"]);
  deepStrictEqual(await page("limit=2&after=run-1"), [["run-0"], null]);
  deepStrictEqual(await page("state=failed"), [["run-4"], null]);
  deepStrictEqual(await page("name=odd&state=queued"), [["run-3", "run-1"], null]);
  strictEqual((await server.app.request("/v1/runs?after=none")).status, 404);
  strictEqual((await server.app.request("/v1/runs?limit=0")).status, 422);
  strictEqual((await server.app.request("/v1/runs?state=lazy")).status, 422);
});

Deno.test("a queued run can be cancelled, resumed, and tried again with other settings", async () => {
  await using server = await idle();
  const request = { dataset: "sample", name: "titles", epochs: 3 };
  const { id } = await server.post<Run>("/v1/runs", request, 202);
  strictEqual((await server.app.request(`/v1/runs/${id}`, { method: "DELETE" })).status, 409);
  strictEqual((await server.post<Run>(`/v1/runs/${id}/cancel`, {}, 202)).state, "cancelled");
  strictEqual(server.supervisor.queueLength, 0);
  strictEqual((await server.post<Run>(`/v1/runs/${id}/resume`, {}, 202)).state, "queued");
  strictEqual(server.supervisor.queueLength, 1);

  const retry = await server.post<Run>(`/v1/runs/${id}/retry`, { learning_rate: 1e-4 }, 202);
  deepStrictEqual([retry.retry_of, retry.name, retry.settings["epochs"]], [id, "titles", 3]);
  strictEqual(retry.settings["learning_rate"], 1e-4);
  const bad = await server.post<{ error: string }>(`/v1/runs/${id}/retry`, { epochs: 0 }, 422);
  match(bad.error, /^'epochs': /);
  await server.post("/v1/runs/none/cancel", {}, 404);
});

Deno.test("a run is not deleted while another needs its model", async () => {
  await using server = await idle({ seeds: { mine: 1 } });
  const fields = { dataset: "sample", base: "bundled", settings: { mode: "full" } };
  await server.store.create(newRun({ ...fields, id: "mine", name: "mine", state: "succeeded" }));
  const base = server.supervisor.attempts("mine").modelDir;
  const user = newRun({ ...fields, id: "user", name: "user", base });
  await server.store.create(user);
  const remove = async (id: string) => {
    const response = await server.app.request(`/v1/runs/${id}`, { method: "DELETE" });
    return [response.status, response.status === 409 ? (await response.json()).error : undefined];
  };
  const needs = (id: string) => [409, `Cannot delete run 'mine': run '${id}' needs its model`];
  deepStrictEqual(await remove("mine"), needs("user"));
  await server.store.setState("user", "succeeded");
  const adapter = { ...user, id: "adapter", settings: { mode: "prefix" }, state: "succeeded" };
  await server.store.create(adapter as Run);
  deepStrictEqual(await remove("mine"), needs("adapter"));
  deepStrictEqual(await remove("adapter"), [204, undefined]);
  await server.post("/v1/evaluations", { model: "mine", dataset: "sample" }, 202);
  match(
    (await remove("mine"))[1],
    /^Cannot delete run 'mine': evaluation '[^']+' needs its model$/,
  );
});

Deno.test("a run is checked in full before it is queued", async () => {
  const base = join(SAMPLE_DIR, "..", "..", "tests", "peft", "base");
  await using server = await idle({ seeds: { titles: 1 }, allowedBases: [base] });
  for (
    const [body, error] of [
      [{ mode: "prefix", model: "scratch:tiny" }, /^'mode': 'scratch:tiny' has random weights/],
      [
        { model: "nobody" },
        /^'model': must be a model of the server or one of bundled, scratch:tiny, /,
      ],
      [{ model: base }, /^'model': /],
      [{ model: "../base" }, /^'model': /],
      [{ device: "webgpu" }, /^'device': /],
      [{ dataset: "none" }, /^'dataset': there is no data set 'none'/],
      [{ dataset: "../sample" }, /^'dataset': there is no data set/],
      [{ init_from: "/etc/passwd" }, /^'init_from': /],
      [{ batch_size: 1e6 }, /^'batch_size': /],
      [{ learning_rate: -1 }, /^'learning_rate': /],
    ] as const
  ) {
    const answer = await server.post<{ error: string }>(
      "/v1/runs",
      { dataset: "sample", ...body },
      422,
    ).catch((reason) => ({ error: String(reason) }));
    // A machine may have a GPU.
    if ("device" in body && /answered 202/.test(answer.error)) continue;
    match(answer.error, error);
  }
  const { id } = await server.post<Run>("/v1/runs", {
    dataset: "sample",
    mode: "prefix",
    model: "base",
  }, 202);
  strictEqual((await server.store.get(id))!.base, base);
  const own = await server.post<Run>("/v1/runs", { dataset: "sample", model: "titles" }, 202);
  strictEqual((await server.store.get(own.id))!.base, join(server.runsDir, "titles"));
  ok(!JSON.stringify(own).includes(server.runsDir));
});

function upload(server: LocalServer, query: string, body: BodyInit, headers?: HeadersInit) {
  const type = typeof body === "string" ? { "Content-Type": "text/csv" } : {};
  const init = { method: "POST", body, headers: headers ?? type };
  return Promise.resolve(server.app.request(`/v1/datasets?${query}`, init));
}

Deno.test("a promotion to a model of other classes is refused when it is asked for", async () => {
  await using server = await idle({ seeds: { titles: 1 } });
  const rows = ["food", "music", "travel"].flatMap((label) =>
    Array.from({ length: 12 }, (_, i) => `${label} ${i},${label}\n`)
  );
  const csv = { method: "POST", body: `text,label\n${rows.join("")}` };
  strictEqual((await server.app.request("/v1/datasets?name=alike", csv)).status, 201);
  const run = { name: "titles", promote: true };
  const refused = await server.post<{ error: string }>(
    "/v1/runs",
    { ...run, dataset: "sample" },
    422,
  );
  match(refused.error, /'promote': the classes of 'sample' are others than those of 'titles@1'/);
  await server.post("/v1/runs", { ...run, dataset: "sample", promote: false }, 202);
  await server.post("/v1/runs", { ...run, dataset: "sample", name: "other" }, 202);
  await server.post("/v1/runs", { ...run, dataset: "alike" }, 202);
});

Deno.test("a data set is sent as one file, split by text, audited and trained on", async () => {
  await using server = await idle();
  const csv = await Deno.readTextFile(join(SAMPLE_DIR, "train_simple.csv"));
  const raw = csv.replace("text,label", "title,kind");
  const response = await upload(server, "name=mine&text=title&label=kind", raw);
  strictEqual(response.status, 201);
  strictEqual(response.headers.get("Location"), "/v1/datasets/mine");
  const { rows, leakage } = await response.json();
  strictEqual(rows.train + rows.validation + rows.test, 1559);
  match(leakage, /^No test or validation text was seen/);
  const { datasets } = await get<{ datasets: { name: string }[] }>(server, "/v1/datasets");
  deepStrictEqual(datasets.map(({ name }) => name), ["mine", "sample"]);
  const whole = await get<{ audit: { dir: string } }>(server, "/v1/datasets/mine");
  strictEqual(whole.audit.dir, "mine");
  strictEqual((await upload(server, "name=mine", raw)).status, 409);

  const { id } = await server.post<Run>("/v1/runs", { dataset: "mine" }, 202);
  const remove = () => server.app.request("/v1/datasets/mine", { method: "DELETE" });
  strictEqual((await remove()).status, 409);
  await server.post(`/v1/runs/${id}/cancel`, {}, 202);
  strictEqual((await remove()).status, 204);
  strictEqual((await remove()).status, 404);
  strictEqual((await server.app.request("/v1/datasets/sample", { method: "DELETE" })).status, 409);
});

Deno.test("a data set is sent as three files of a form", async () => {
  await using server = await idle();
  const form = new FormData();
  for (const [side, file] of [["train", "train"], ["validation", "val"], ["test", "test"]]) {
    const content = await Deno.readFile(join(SAMPLE_DIR, `${file}_simple.csv`));
    form.set(side!, new Blob([content]), "a.csv");
  }
  const response = await upload(server, "name=three", form);
  strictEqual(response.status, 201, await response.clone().text());
  deepStrictEqual(
    (await response.json()).rows,
    (await get<{ rows: object }>(server, "/v1/datasets/sample")).rows,
  );
  form.delete("test");
  const bad = await upload(server, "name=two", form);
  strictEqual(bad.status, 422);
  match((await bad.json()).error, /'test' must be a file/);
});

Deno.test("a data set is sent as one file of a form, or compressed, with the same result", async () => {
  await using server = await idle();
  const table = Array.from({ length: 60 }, (_, i) => [`text ${i} of it`, i % 2 ? "a" : "b"]);
  const separated = (delimiter: string) =>
    [["text", "label"], ...table].map((row) => row.join(delimiter) + "\n").join("");
  const csv = separated(",");
  const lines = table.map(([text, label]) => JSON.stringify({ text, label })).join("\n");
  const form = (name: string, content: string) => {
    const form = new FormData();
    form.set("file", new Blob([content]), name);
    return form;
  };
  const gzip = new Blob([csv]).stream().pipeThrough(new CompressionStream("gzip"));
  const rows: unknown[] = [];
  for (
    const [name, body, headers] of [
      ["csv", csv, { "Content-Type": "text/csv" }],
      ["gzip", gzip, { "Content-Type": "text/csv", "Content-Encoding": "gzip" }],
      ["jsonl", lines, { "Content-Type": "application/jsonl" }],
      ["form-csv", form("Tickets.CSV", csv), {}],
      ["form-tsv", form("tickets.tsv", separated("\t")), {}],
      ["form-jsonl", form("tickets.jsonl", lines), {}],
    ] as const
  ) {
    const response = await upload(server, `name=${name}`, body, headers);
    strictEqual(response.status, 201, await response.clone().text());
    rows.push((await response.json()).rows);
  }
  deepStrictEqual(rows, rows.map(() => rows[0]));
  const type = { "Content-Type": "application/vnd.apache.parquet" };
  const refused = await upload(server, "name=other", csv, type);
  strictEqual(refused.status, 415);
  match((await refused.json()).error, /must be CSV.* its Content-Type is 'application\/vnd.apache/);
});

Deno.test("a data set of numbers trains regression, and nothing else", async () => {
  await using server = await idle();
  const form = new FormData();
  for (const [side, from] of [["train", 0], ["validation", 20], ["test", 30]] as const) {
    const rows = Array.from({ length: 10 }, (_, i) => `text ${from + i},${(from + i) / 4}\n`);
    form.set(side, new Blob(["text,label\n", ...rows]), "a.csv");
  }
  strictEqual((await upload(server, "name=numbers", form)).status, 422);
  const response = await upload(server, "name=numbers&problem_type=regression", form);
  strictEqual(response.status, 201, await response.clone().text());
  strictEqual((await response.json()).problem_type, "regression");
  const dataset = "numbers";
  const { settings } = await server.post<Run>("/v1/runs", { dataset }, 202);
  strictEqual(settings["problem_type"], "regression");
  const first = await server.post<Run>("/v1/runs", { dataset: "sample" }, 202);
  const retry = await server.post<Run>(`/v1/runs/${first.id}/retry`, { dataset }, 202);
  strictEqual(retry.settings["problem_type"], "regression");
  const other = { dataset, problem_type: "single_label_classification" };
  const { error } = await server.post<{ error: string }>("/v1/runs", other, 422);
  strictEqual(error, "'problem_type': that of the data set 'numbers' is regression");
  const file = await upload(server, "name=one&problem_type=regression", "text,label\na,1\n");
  strictEqual(file.status, 422);
});

Deno.test("of data sets that come under one name at once, one is taken", async () => {
  await using server = await idle();
  const csv = await Deno.readTextFile(join(SAMPLE_DIR, "train_simple.csv"));
  const responses = await Promise.all([1, 2].map(() => upload(server, "name=twin", csv)));
  deepStrictEqual(responses.map(({ status }) => status).sort(), [201, 409]);
});

Deno.test("what a killed server has left of a data set is no data set, and is removed", async () => {
  await using server = await idle();
  const left = join(server.runsDir, "datasets", `.mine.${crypto.randomUUID()}`);
  await Deno.mkdir(left, { recursive: true });
  await Deno.writeTextFile(join(left, "audit.json"), "{}");
  deepStrictEqual(await server.datasets.names(), ["sample"]);
  await server.datasets.removeLeftovers();
  deepStrictEqual(await Array.fromAsync(Deno.readDir(join(left, ".."))), []);
});

Deno.test("a bad data set is refused whole, with the line", async () => {
  await using server = await idle({ datasetLimitBytes: 5000 });
  const rows = Array.from({ length: 30 }, (_, i) => `text ${i},${i % 2}\n`).join("");
  for (
    const [query, body, status, error] of [
      ["name=../x", "text,label\n", 422, /^'name': /],
      ["name=a%2Fb", "text,label\n", 422, /^'name': /],
      ["text=a", "text,label\n", 422, /^'name': /],
      ["name=x", "", 422, /'raw.csv': expected a header line and at least one row$/],
      ["name=x", `text,label\n${rows}only\n`, 422, /'raw.csv' line 32: expected 2 fields, got 1; /],
      [
        "name=x",
        `heading,label\n${rows}`,
        422,
        /expected a column 'text', found 'heading', 'label': name yours with text$/,
      ],
      ["name=x", `text,label\n${rows}only\n,1\n`, 422, /line 32: .*; line 33: the text is empty/],
      ["name=x&encoding=utf-9", `text,label\n${rows}`, 422, /^'body': Cannot use encoding utf-9/],
      ["name=x", `text,label\n${rows}"open,1\n`, 422, /line 32: a quote is opened and never/],
      ["name=x", "text,label\na,1\nb,1\n", 422, /at least two classes/],
      ["name=x", `text,label\n${"a".repeat(6000)},1\n`, 413, /at most 5000 bytes/],
    ] as const
  ) {
    const response = await upload(server, query, body);
    const answer = await response.json();
    strictEqual(response.status, status, answer.error);
    match(answer.error, error);
    ok(!answer.error.includes(server.runsDir), answer.error);
  }
  deepStrictEqual(await server.datasets.names(), ["sample"]);
  const left = await Array.fromAsync(Deno.readDir(join(server.runsDir, "datasets")));
  deepStrictEqual(left, []);
});

Deno.test("a table of any kind is taken, and told of", async () => {
  await using server = await idle();
  const rows = Array.from({ length: 40 }, (_, i) => `text ${i};${i % 4 < 2 ? "A" : "b"}`);
  const csv = ["Review;Category", ...rows, "too; many; fields", "one more;B"].join("\r\n");
  const query = "name=any&skip_bad_rows=true&normalize_labels=true";
  const response = await upload(server, query, csv);
  strictEqual(response.status, 201);
  const { labels, notes } = await response.json();
  deepStrictEqual(labels, ["A", "b"]);
  deepStrictEqual(notes, [
    "'raw.csv' has ';' between its columns",
    "Texts are in the column 'Review', labels in 'Category'",
    "1 bad row is left out: line 42: expected 2 fields, got 3",
  ]);
  const bad = await (await upload(server, "name=bad", `${csv}\r\nbad`)).json();
  match(bad.error, / In all 2 rows are bad: skip_bad_rows leaves them out$/);
  const spelled = await upload(server, "name=spelled&skip_bad_rows=true", csv);
  match(
    (await spelled.json()).notes.at(-1),
    /^Labels that differ only in case.*"b" \(20\) \/ "B" \(1\)\. normalize_labels merges them$/,
  );
});

Deno.test("the three files of a form may be written in any way", async () => {
  await using server = await idle();
  const form = new FormData();
  for (const [i, side] of ["train", "validation", "test"].entries()) {
    const rows = Array.from(
      { length: 8 },
      (_, row) => `Gr\xfc\xdfe ${i} ${row}\t${["x", "X", "X", "y"][row % 4]}`,
    );
    const bytes = Uint8Array.from(["title\tclass", ...rows].join("\n"), (it) => it.charCodeAt(0));
    form.set(side, new File([bytes], `${side}.tsv`));
  }
  const url = "/v1/datasets?name=form&encoding=windows-1252&normalize_labels=true";
  const response = await server.app.request(url, { method: "POST", body: form });
  strictEqual(response.status, 201, await response.clone().text());
  deepStrictEqual((await response.json()).labels, ["X", "y"]);
});

Deno.test("storage is counted, and a budget refuses more", async () => {
  await using server = await idle({ diskBudgetBytes: 1_000_000 });
  const fields = { settings: {}, base: "scratch:tiny", dataset: "sample" };
  await server.post("/v1/runs", { dataset: "sample" }, 202);
  await server.store.create(newRun({ id: "big", name: "big", ...fields }));
  await writeModel(join(server.runsDir, "big"), 1);
  const storage = await get<{ runs: { id: string; bytes: number }[]; total_bytes: number }>(
    server,
    "/v1/storage",
  );
  strictEqual(storage.runs[0]!.id, "big");
  ok(storage.runs[0]!.bytes > 1_000_000 && storage.total_bytes >= storage.runs[0]!.bytes);
  const { error } = await server.post<{ error: string }>("/v1/runs", { dataset: "sample" }, 507);
  match(error, /of 1000000; delete some$/);
  strictEqual((await upload(server, "name=x", "text,label\na,1\n")).status, 507);
});

Deno.test("a request for a run is checked without training, with the defaults of its base", async () => {
  const dir = join(await Deno.makeTempDir(), "some_roberta");
  await using cleaner = new AsyncDisposableStack();
  cleaner.defer(() => Deno.remove(dirname(dir), { recursive: true }));
  await Deno.mkdir(dir);
  await Deno.writeTextFile(join(dir, "config.json"), JSON.stringify(ROBERTA));
  await using server = await idle({ allowedBases: [dir] });
  const { settings } = await server.post<{ settings: Record<string, unknown> }>(
    "/v1/runs/settings",
    { dataset: "sample", model: "scratch:tiny" },
  );
  deepStrictEqual([settings["learning_rate"], settings["epochs"]], [1e-3, 8]);
  const roberta = await server.post<{ settings: Record<string, unknown> }>(
    "/v1/runs/settings",
    { dataset: "sample", model: "some_roberta" },
  );
  deepStrictEqual(roberta.settings["learning_rate"], 2e-5);
  const bad = { dataset: "sample", model: "scratch:tiny", mode: "prefix" };
  const { error } = await server.post<{ error: string }>("/v1/runs/settings", bad, 422);
  match(error, /^'mode': 'scratch:tiny' has random weights/);
  for (
    const [settings, message] of [
      [{ stride: 8 }, `'stride': goes with 'long_texts': "chunk"`],
      [{ chunk_join: "max" }, `'chunk_join': goes with 'long_texts': "chunk"`],
      [
        { mode: "lora", freeze: "bert.*" },
        `'freeze': lora freezes the whole base; it goes with 'mode': "full"`,
      ],
    ] as [Record<string, unknown>, string][]
  ) {
    const body = { dataset: "sample", ...settings };
    const { error } = await server.post<{ error: string }>("/v1/runs/settings", body, 422);
    strictEqual(error, message);
  }
  deepStrictEqual(await server.store.list(), []);
});

Deno.test("a run's history has what its stream had, and says where the stream goes on", async () => {
  await using server = await idle();
  const { id } = await server.post<Run>("/v1/runs", { dataset: "sample" }, 202);
  const history = await get<{ log: { event: unknown }[]; last_event_id: number }>(
    server,
    `/v1/runs/${id}/history`,
  );
  deepStrictEqual(history.log.map(({ event }) => event), [{ type: "state", state: "queued" }]);
  await server.store.setState(id, "cancelled");
  const stream = await server.app.request(
    `/v1/runs/${id}/events?after=${history.last_event_id}`,
  );
  match(await stream.text(), /^event: state\ndata: {"type":"state","state":"cancelled"}\nid: 2/);
  strictEqual((await server.app.request("/v1/runs/none/history")).status, 404);
});

Deno.test("a file is looked at before it is a data set: its columns, then its split and audit", async () => {
  await using server = await idle();
  const csv = await Deno.readTextFile(join(SAMPLE_DIR, "train_simple.csv"));
  const raw = csv.replace("text,label", "title,kind");
  const head = await server.app.request("/v1/datasets/columns", {
    method: "POST",
    // It ends in the middle of a row.
    body: raw.slice(0, 1000),
    headers: { "Content-Type": "text/csv" },
  });
  const { columns, text, label, rows } = await head.json();
  deepStrictEqual([columns, text, label], [["title", "kind"], "title", null]);
  strictEqual(rows.length, 5);
  const preview = await server.app.request("/v1/datasets/audit?text=title&label=kind", {
    method: "POST",
    body: raw,
    headers: { "Content-Type": "text/csv" },
  });
  strictEqual(preview.status, 200, await preview.clone().text());
  const { audit } = await preview.json();
  strictEqual(audit.files.train.rows + audit.files.validation.rows + audit.files.test.rows, 1559);
  deepStrictEqual(await server.datasets.names(), ["sample"]);
  deepStrictEqual(await Array.fromAsync(Deno.readDir(join(server.runsDir, "datasets"))), []);
});

Deno.test("/metrics tells of runs by their state, of those that wait, and of the disk", async () => {
  await using server = await idle({ diskBudgetBytes: 1e9 });
  await server.post("/v1/runs", { dataset: "sample", model: "scratch:tiny" }, 202);
  await server.post("/v1/runs", { dataset: "sample", model: "scratch:tiny" }, 202);
  const fields = { settings: {}, base: "scratch:tiny", dataset: "sample" };
  await server.store.create(
    newRun({ id: "old", name: "old", created_at: "2026-01-01", ...fields }),
  );
  await server.store.setState("old", "failed");
  await writeModel(server.supervisor.attempts("old").modelDir, 1);
  const metrics = await (await server.app.request("/metrics")).text();
  for (
    const line of [
      'graft_runs{state="queued"} 2',
      'graft_runs{state="running"} 0',
      'graft_runs{state="failed"} 1',
      "graft_job_queue_length 2",
      'graft_disk_bytes{kind="datasets"} 0',
      "graft_disk_budget_bytes 1000000000",
    ]
  ) ok(metrics.split("\n").includes(line), `${line} in ${metrics}`);
  const { total_bytes } = await get<{ total_bytes: number }>(server, "/v1/storage");
  ok(total_bytes > 0);
  ok(metrics.includes(`graft_disk_bytes{kind="runs"} ${total_bytes}\n`), metrics);
});
