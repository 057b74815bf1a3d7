/**
 * The way through over HTTP: train on the sample, follow the run, predict, evaluate.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { newRun, type RunStore } from "../../orchestration/run_store.ts";
import type { SpawnWorker } from "../../orchestration/job_process.ts";
import type { Supervisor } from "../../orchestration/supervisor.ts";
import { LocalServer } from "../support/local_server.ts";

/** Runs a test against an application whose state is gone afterwards. */
async function withApp(
  test: (app: OpenAPIHono, store: RunStore, supervisor: Supervisor) => Promise<void>,
  spawn?: SpawnWorker,
): Promise<void> {
  await using server = await LocalServer.start(spawn === undefined ? {} : { spawn });
  await test(server.app, server.store, server.supervisor);
}

function post(app: OpenAPIHono, path: string, body: unknown) {
  return app.request(path, { method: "POST", body: JSON.stringify(body) });
}

/** The events of a stream's text. */
function parseEvents(text: string): { id: number; event: string; data: { state?: string } }[] {
  return text.trim().split("\n\n").map((block) => {
    const fields = Object.fromEntries(
      block.split("\n").map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }),
    );
    return { id: Number(fields["id"]), event: fields["event"]!, data: JSON.parse(fields["data"]!) };
  });
}

Deno.test("the server trains, reports, predicts and evaluates", async () => {
  await withApp(async (app) => {
    const settings = {
      model: "scratch:tiny",
      dataset: "sample",
      max_steps: 20,
      partner: "none",
      threads: 1,
      name: "titles",
    };
    const created = await post(app, "/v1/runs", settings);
    deepStrictEqual(created.status, 202);
    const { id, state } = await created.json();
    deepStrictEqual(state, "queued");
    deepStrictEqual(created.headers.get("Location"), `/v1/runs/${id}`);

    const events = parseEvents(await (await app.request(`/v1/runs/${id}/events`)).text());
    deepStrictEqual(events.map(({ id }) => id), events.map((_, i) => i + 1));
    const kinds = new Set(events.map(({ event }) => event));
    for (const kind of ["start", "step", "evaluation", "finish"]) ok(kinds.has(kind), kind);
    deepStrictEqual(
      events.flatMap(({ data }) => data.state ?? []),
      ["queued", "running", "succeeded"],
    );

    const rest = await app.request(`/v1/runs/${id}/events`, { headers: { "Last-Event-ID": "2" } });
    deepStrictEqual(parseEvents(await rest.text()), events.slice(2));

    const beyond = await app.request(`/v1/runs/${id}/events`, {
      headers: { "Last-Event-ID": "9999" },
    });
    deepStrictEqual(await beyond.text(), "");
    const { runs } = await (await app.request("/v1/runs")).json();
    deepStrictEqual(runs.map((run: { id: string }) => run.id), [id]);

    const run = await (await app.request(`/v1/runs/${id}`)).json();
    deepStrictEqual(run.state, "succeeded");
    deepStrictEqual(run.result.steps, 20);
    deepStrictEqual(run.result.metrics.problem_type, "single_label_classification");
    ok(!("per_class" in run.result.metrics || "confusion_matrix" in run.result.metrics));

    const inputs = ["How to bake sourdough bread", "A duet about a recipe"];
    const predicted = await post(app, "/v1/predict", { model: "titles", inputs, top_k: 2 });
    const { predictions } = await predicted.json();
    deepStrictEqual(predictions.length, 2);
    for (const scores of predictions) {
      deepStrictEqual(scores.length, 2);
      ok(scores[0].score >= scores[1].score);
    }

    const evaluation = await post(app, "/v1/evaluations", { model: "titles", dataset: "sample" });
    deepStrictEqual(evaluation.status, 202);
    const path = evaluation.headers.get("Location")!;
    let finished = await (await app.request(path)).json();
    while (/queued|running/.test(finished.state)) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      finished = await (await app.request(path)).json();
    }
    deepStrictEqual(finished.state, "succeeded");
    deepStrictEqual(finished.report.n, 600);
    deepStrictEqual(finished.report.accuracy, run.result.metrics.accuracy);

    deepStrictEqual(finished.split, "test");
    const get = async (query: string) => await (await app.request(`${path}/${query}`)).json();
    const { rows, total } = await get("rows?right=false&order=highest_score&limit=5");
    deepStrictEqual(total, 600 - Math.round(600 * finished.report.accuracy));
    ok(rows.length === 5 && rows[0].score >= rows[4].score);
    const labels = finished.report.per_class.map((it: { label: string }) => it.label);
    const { label, predicted: taken } = rows[0];
    const cell = await get(`rows?${new URLSearchParams({ label, predicted: taken })}`);
    deepStrictEqual(
      cell.total,
      finished.report.confusion_matrix[labels.indexOf(label)][labels.indexOf(taken)],
    );
    const csv = await (await app.request(`${path}/rows.csv?right=false`)).text();
    deepStrictEqual(csv.split("\n")[0], "text,label,predicted,score,error,seen,right");
    const bins: { n: number }[] = finished.calibration.bins;
    deepStrictEqual(bins.reduce((sum, { n }) => sum + n, 0), 600);
    const same = await get(`comparison?with=${finished.id}`);
    deepStrictEqual([same.both + same.neither, same.p, same.rows], [600, 1, []]);
  });
});

Deno.test("a run whose process dies is failed, with its last words", async () => {
  const dying: SpawnWorker = () =>
    new Deno.Command("deno", {
      args: ["eval", "console.error('out of luck'); Deno.exit(7)"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  await withApp(async (app) => {
    const { id } = await (await post(app, "/v1/runs", { dataset: "sample" })).json();
    await (await app.request(`/v1/runs/${id}/events`)).text();
    const run = await (await app.request(`/v1/runs/${id}`)).json();
    deepStrictEqual(run.state, "failed");
    deepStrictEqual(run.attempt, 3);
    match(
      run.error,
      /^the training process ended 3 times without a new checkpoint, .* exit code 7: out of luck$/,
    );
  }, dying);
});

Deno.test("a run whose process cannot be started is failed", async () => {
  const missing: SpawnWorker = () => {
    throw new Deno.errors.NotFound("there is no deno");
  };
  await withApp(async (app) => {
    const { id } = await (await post(app, "/v1/runs", { dataset: "sample" })).json();
    await (await app.request(`/v1/runs/${id}/events`)).text();
    const run = await (await app.request(`/v1/runs/${id}`)).json();
    deepStrictEqual([run.state, run.error], ["failed", "there is no deno"]);
  }, missing);
});

Deno.test("a worker that says something odd is ended before the next run starts", async () => {
  let alive = 0;
  const babbling: SpawnWorker = () => {
    const child = new Deno.Command("deno", {
      args: ["eval", "console.log('hello'); for await (const _ of Deno.stdin.readable);"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    deepStrictEqual(alive++, 0);
    void child.status.then(() => alive--);
    return child;
  };
  await withApp(async (app) => {
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) {
      ids.push((await (await post(app, "/v1/runs", { dataset: "sample" })).json()).id);
    }
    for (const id of ids) {
      await (await app.request(`/v1/runs/${id}/events`)).text();
      deepStrictEqual((await (await app.request(`/v1/runs/${id}`)).json()).state, "failed");
    }
    deepStrictEqual(alive, 0);
  }, babbling);
});

Deno.test("closing the supervisor ends the run that trains, and its event stream", async () => {
  await withApp(async (app, _store, supervisor) => {
    const { id } = await (await post(app, "/v1/runs", { dataset: "sample", threads: 1 })).json();
    const events = await app.request(`/v1/runs/${id}/events`);
    const reader = events.body!.getReader();
    await reader.read();
    await supervisor.close();
    while (!(await reader.read()).done);
    deepStrictEqual((await post(app, "/v1/runs", { dataset: "sample" })).status, 503);
    const run = await (await app.request(`/v1/runs/${id}`)).json();
    deepStrictEqual(run.state, "queued");
  });
});

Deno.test("a server that starts again queues what it left unfinished", async () => {
  await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
  const { store, supervisor } = server;
  const fields = { settings: {}, base: "scratch:tiny", dataset: "sample" };
  for (const id of ["running", "queued", "cancelling", "done"]) {
    await store.create(newRun({ id, name: id, ...fields }));
  }
  for (const id of ["running", "cancelling"]) await store.setState(id, "running");
  await store.change("cancelling", () => ({ cancelling: true }));
  await store.setState("done", "succeeded");
  await supervisor.recover();
  const states = Object.fromEntries((await store.list()).map(({ id, state }) => [id, state]));
  deepStrictEqual(states, {
    running: "queued",
    queued: "queued",
    cancelling: "cancelled",
    done: "succeeded",
  });
  deepStrictEqual(supervisor.queueLength, 2);
});

Deno.test("the server refuses bad requests with the field's name", async () => {
  await withApp(async (app) => {
    const foreign = { method: "POST", body: "{}", headers: { Origin: "https://example.com" } };
    deepStrictEqual((await app.request("/v1/runs", foreign)).status, 403);
    const longId = "x".repeat(3000);
    for (const path of [`/v1/runs/${longId}`, `/v1/evaluations/${longId}`]) {
      deepStrictEqual((await app.request(path)).status, 404);
    }
    const long = { method: "POST", body: JSON.stringify({ inputs: ["x".repeat(3_000_000)] }) };
    deepStrictEqual((await app.request("/v1/predict", long)).status, 413);
    for (
      const [path, body, status, error] of [
        ["/v1/runs", { dataset: "sample", epochs: 0 }, 422, /^'epochs': /],
        ["/v1/runs", { dataset: "../secret" }, 422, /^'dataset': /],
        ["/v1/runs", { dataset: "sample", name: "../x" }, 422, /^'name': /],
        ["/v1/runs", { dataset: "sample", model: "/etc" }, 422, /^'model': /],
        ["/v1/runs", { dataset: "sample", model: "bert-base-cased" }, 422, /^'model': /],
        ["/v1/runs", { dataset: "sample", epoch: 3 }, 422, /epoch/],
        ["/v1/runs", { dataset: "sample", problem_type: "ranking" }, 422, /^'problem_type': /],
        ["/v1/predict", { inputs: [] }, 422, /^'inputs': /],
        ["/v1/predict", { inputs: [" "] }, 422, /^'inputs.0': /],
        ["/v1/predict", { inputs: ["a"], top_k: 0 }, 422, /^'top_k': /],
        ["/v1/predict", { inputs: ["a"] }, 422, /^'model': there is no trained model yet/],
        ["/v1/predict", { inputs: ["a"], model: "no" }, 422, /^'model': there is no model 'no'/],
        ["/v1/evaluations", { dataset: "sample", model: "no" }, 422, /^'model': /],
        ["/v1/nothing", {}, 404, /No route POST \/v1\/nothing/],
      ] as const
    ) {
      const response = await post(app, path, body);
      deepStrictEqual(response.status, status, `${path} ${JSON.stringify(body)}`);
      match((await response.json()).error, error);
    }
    const malformed = await app.request("/v1/predict", { method: "POST", body: "{" });
    deepStrictEqual(malformed.status, 400);
    deepStrictEqual((await app.request("/v1/runs/none")).status, 404);
    deepStrictEqual((await app.request("/v1/runs/none/events")).status, 404);
    deepStrictEqual((await app.request("/v1/evaluations/none")).status, 404);
  });
});
