/**
 * Runs whose settings a server searches for, each trial in a run of its own.
 *
 * @module
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { exists } from "../../lib/files.ts";
import { spawnWorker } from "../../orchestration/job_process.ts";
import { isOver, type Run } from "../../orchestration/run_store.ts";
import { Supervisor } from "../../orchestration/supervisor.ts";
import { LocalServer } from "../support/local_server.ts";

/** Two trials of at most 6 steps. */
const REQUEST = {
  dataset: "sample",
  name: "titles",
  model: "scratch:tiny",
  device: "wasm",
  threads: 1,
  max_steps: 6,
  max_train_samples: 64,
  tune: { trials: 2 },
};

async function get<Answer>(server: LocalServer, path: string): Promise<Answer> {
  return await (await server.app.request(path)).json();
}

async function untilOver(server: LocalServer, id: string): Promise<Run> {
  await (await server.app.request(`/v1/runs/${id}/events`)).text();
  return await get(server, `/v1/runs/${id}`);
}

/** The trials of a run, the oldest first. */
async function trialsOf(server: LocalServer, id: string): Promise<Run[]> {
  const { runs } = await get<{ runs: Run[] }>(server, `/v1/runs?trial_of=${id}`);
  return runs.reverse();
}

/** A server whose search has begun its second trial, with the number of its subprocesses so far. */
async function inSecondTrial() {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  let jobs = 0;
  const server = await LocalServer.start({
    spawn: (job) => {
      if (++jobs === 2) begin();
      return spawnWorker(job);
    },
  });
  const { id } = await server.post<Run>("/v1/runs", REQUEST, 202);
  await begun;
  return {
    server,
    id,
    get jobs() {
      return jobs;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

Deno.test("a run is trained with the settings that did best in its trials", async () => {
  await using server = await LocalServer.start();
  const { id, state } = await server.post<Run>("/v1/runs", REQUEST, 202);
  strictEqual(state, "queued");
  const run = await untilOver(server, id);
  deepStrictEqual([run.state, run.error], ["succeeded", undefined]);

  const trials = await trialsOf(server, id);
  const shares = trials.map((trial) => trial.settings["max_steps"]);
  // The search ends where the defaults are ahead of the only other trial.
  deepStrictEqual(shares, [2, 2, 3, 3, 6, 6].slice(0, shares.length));
  for (const trial of trials) {
    deepStrictEqual([trial.state, trial.result!.metrics.split], ["succeeded", "validation"]);
    ok(!await exists(join(server.runsDir, trial.id)));
    ok(!await exists(join(server.runsDir, `${trial.id}.attempts`)));
  }
  strictEqual(run.result!.metrics.split, "test");
  strictEqual(run.result!.steps, 6);
  const { results, trials: tried, best } = run.tuning!;
  strictEqual(results.length, trials.length);
  const { learning_rate, epochs } = tried[best!]!;
  deepStrictEqual([run.settings["learning_rate"], run.settings["epochs"]], [learning_rate, epochs]);
  ok(results.every(({ value, interval: [low, high] }) => low <= value && value <= high));
  const { runs } = await get<{ runs: Run[] }>(server, "/v1/runs");
  deepStrictEqual(runs.map(({ id }) => id), [id]);
  const { models } = await get<{ models: { name: string }[] }>(server, "/v1/models");
  deepStrictEqual(models.map(({ name }) => name), ["titles"]);

  strictEqual((await server.app.request(`/v1/runs/${id}`, { method: "DELETE" })).status, 204);
  strictEqual((await server.store.list()).length, 0);
});

Deno.test("a search is stopped with its trial, and goes on where it stopped", async () => {
  await using searching = await inSecondTrial();
  const { server, id } = searching;
  const [, second] = await trialsOf(server, id);
  for (const action of ["resume", "retry"]) {
    await server.post(`/v1/runs/${second!.id}/${action}`, {}, 409);
  }
  await server.post(`/v1/runs/${id}/cancel`, {}, 202);
  strictEqual((await untilOver(server, id)).state, "cancelled");
  deepStrictEqual((await trialsOf(server, id)).map(({ state }) => state), [
    "succeeded",
    "cancelled",
  ]);
  strictEqual(searching.jobs, 2);

  await server.post(`/v1/runs/${id}/resume`, {}, 202);
  const run = await untilOver(server, id);
  deepStrictEqual([run.state, run.error], ["succeeded", undefined]);
  const trials = await trialsOf(server, id);
  ok(trials.every(({ state }) => state === "succeeded"));
  deepStrictEqual(run.tuning!.failed, []);
  // All but the first, and the run itself.
  strictEqual(searching.jobs - 2, trials.length);
});

Deno.test("a search goes on after its server has stopped", async () => {
  await using searching = await inSecondTrial();
  const { server, id } = searching;
  await server.supervisor.close();
  strictEqual((await server.store.get(id))!.state, "queued");
  await using next = new Supervisor({
    store: server.store,
    runsDir: server.runsDir,
    datasetDir: (name) => server.datasets.dirOf(name),
  });
  await next.recover();
  for await (const run of server.store.watch(id, AbortSignal.timeout(120_000))) {
    if (isOver(run!)) break;
  }
  const run = (await server.store.get(id))!;
  deepStrictEqual([run.state, run.error, run.tuning!.failed], ["succeeded", undefined, []]);
  ok((await trialsOf(server, id)).every(({ state }) => state === "succeeded"));
});

Deno.test("a search fails where all of its trials do", async () => {
  await using server = await LocalServer.start();
  const request = { ...REQUEST, freeze: "no_such_parameter" };
  const { id } = await server.post<Run>("/v1/runs", request, 202);
  const run = await untilOver(server, id);
  strictEqual(run.state, "failed");
  match(run.error!, /no settings could be tried: .*no_such_parameter/);
  // What is tried again is the search.
  const retry = await server.post<Run>(`/v1/runs/${id}/retry`, { freeze: "*embeddings*" }, 202);
  strictEqual(retry.tuning!.trials.length, 2);
  strictEqual((await untilOver(server, retry.id)).state, "succeeded");
});

Deno.test("a search goes on without a trial that was cancelled", async () => {
  await using searching = await inSecondTrial();
  const { server, id } = searching;
  const [, second] = await trialsOf(server, id);
  await server.post(`/v1/runs/${second!.id}/cancel`, {}, 202);
  const run = await untilOver(server, id);
  deepStrictEqual([run.state, run.tuning!.best, run.tuning!.failed], ["succeeded", 0, [1]]);
});

Deno.test("a search that has nothing to choose from is refused", async () => {
  await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
  const fixed = { ...REQUEST, learning_rate: 1e-3, epochs: 2 };
  const { error } = await server.post<{ error: string }>("/v1/runs", fixed, 422);
  match(error, /'tune': no setting is left to search for/);
  await server.post("/v1/runs", { ...REQUEST, tune: { trials: 1 } }, 422);
  strictEqual((await server.store.list()).length, 0);
});
