/**
 * Training runs of a server whose processes die, hang and wake up at the wrong moment.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists } from "../../lib/files.ts";
import { Random } from "../../lib/random.ts";
import { type SpawnWorker, spawnWorker } from "../../orchestration/job_process.ts";
import type { Run } from "../../orchestration/run_store.ts";
import { LocalServer } from "../support/local_server.ts";
import type { Fate } from "../support/self_killing_command.ts";
import { address } from "../support/server_process.ts";

const SELF_KILLING_COMMAND = fileURLToPath(
  new URL("../support/self_killing_command.ts", import.meta.url),
);
const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const STREAMS = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;

/** What is trained: in a second, but for its start. */
const SETTINGS = {
  dataset: "sample",
  model: "scratch:tiny",
  device: "wasm",
  threads: 1,
  save_steps: 5,
};

function mortal(fate: Fate, ...args: string[]): Deno.ChildProcess {
  const command = ["run", "--quiet", "-A", SELF_KILLING_COMMAND, JSON.stringify(fate), ...args];
  return new Deno.Command("deno", { args: command, ...STREAMS }).spawn();
}

function graft(...args: string[]): Deno.ChildProcess {
  return new Deno.Command("deno", { args: ["run", "--quiet", "-A", MAIN, ...args], ...STREAMS })
    .spawn();
}

/** Submits a run and gives it when it is over. */
async function train(server: LocalServer, settings: Record<string, unknown>): Promise<Run> {
  const { id } = await server.post<Run>("/v1/runs", { ...SETTINGS, ...settings }, 202);
  return await untilOver(server, id);
}

async function untilOver(server: LocalServer, id: string): Promise<Run> {
  await (await server.app.request(`/v1/runs/${id}/events`)).text();
  return await (await server.app.request(`/v1/runs/${id}`)).json();
}

function weightsOf(server: LocalServer, { id }: Run): Promise<Uint8Array> {
  return Deno.readFile(join(server.runsDir, id, "model.safetensors"));
}

Deno.test("a run whose process is killed eight times ends with the bytes of one that was not", async () => {
  const settings = { max_steps: 150, max_train_samples: 400 };
  await using undisturbed = await LocalServer.start();
  const expected = await weightsOf(undisturbed, await train(undisturbed, settings));

  const random = new Random(5);
  let deaths = 0;
  const spawn: SpawnWorker = (job) => {
    if (deaths === 8) return spawnWorker(job);
    deaths++;
    const afterLines = 6 + random.integer(14);
    return mortal({ signal: "SIGKILL", afterLines, afterMs: random.integer(30) }, "worker");
  };
  await using server = await LocalServer.start({ spawn });
  const run = await train(server, settings);
  deepStrictEqual([run.state, run.error, deaths, run.attempt], ["succeeded", undefined, 8, 9]);
  deepStrictEqual(await weightsOf(server, run), expected);
  ok(!await exists(join(server.runsDir, `${run.id}.attempts`)));
});

Deno.test("of ten runs none is lost and none trained twice, whichever of two workers dies", async () => {
  const random = new Random(7);
  let working = 0;
  const spawn: SpawnWorker = (job) => {
    ok(++working <= 2, "there are more than two workers");
    const child = random.uniform() < 0.3
      ? mortal({ signal: "SIGKILL", afterLines: 1 + random.integer(6) }, "worker")
      : spawnWorker(job);
    void child.status.then(() => working--);
    return child;
  };
  await using server = await LocalServer.start({ spawn, supervisorOptions: { workers: 2 } });
  const names = Array.from({ length: 10 }, (_, i) => `run-${i}`);
  const settings = { max_steps: 4, max_train_samples: 64 };
  const runs = await Promise.all(names.map((name) => train(server, { ...settings, name })));
  deepStrictEqual(runs.map(({ state }) => state), names.map(() => "succeeded"));
  ok(runs.some(({ attempt }) => attempt > 1));
  const { models } = await (await server.app.request("/v1/models")).json();
  deepStrictEqual(
    models.map((
      { name, versions }: { name: string; versions: object[] },
    ) => [name, versions.length]),
    names.toSorted().map((name) => [name, 1]),
  );
});

Deno.test("a process that hangs shows as lost, is replaced, and harms nothing when it wakes up", async () => {
  const settings = { max_steps: 40, max_train_samples: 200 };
  await using undisturbed = await LocalServer.start();
  const expected = await weightsOf(undisturbed, await train(undisturbed, settings));

  let spawned = 0;
  const fate = { signal: "SIGSTOP", afterLines: 9, continueAfterSeconds: 13 } as const;
  await using server = await LocalServer.start({
    spawn: (job) => spawned++ === 0 ? mortal(fate, "worker") : spawnWorker(job),
    supervisorOptions: { heartbeatTimeoutMs: 11_500 },
  });
  const { id } = await server.post<Run>("/v1/runs", { ...SETTINGS, ...settings }, 202);
  const over = untilOver(server, id);
  const states = new Set<string>();
  const watch = setInterval(async () => {
    states.add((await (await server.app.request(`/v1/runs/${id}`)).json()).state);
  }, 100);
  const run = await over;
  clearInterval(watch);
  ok(states.has("lost"), [...states].join());
  deepStrictEqual([run.state, run.attempt, spawned], ["succeeded", 2, 2]);
  deepStrictEqual(await weightsOf(server, run), expected);
  // By now the first process has woken up.
  await new Promise((resolve) => setTimeout(resolve, 4000));
  deepStrictEqual(await weightsOf(server, run), expected);
  ok(!await exists(join(server.runsDir, `${id}.attempts`)));
});

Deno.test("a cancelled run leaves a checkpoint, and goes on from there to the same weights", async () => {
  const settings = { max_steps: 200, max_train_samples: 400, save_steps: 1000 };
  await using server = await LocalServer.start();
  const expected = await weightsOf(server, await train(server, settings));

  const { id } = await server.post<Run>("/v1/runs", { ...SETTINGS, ...settings }, 202);
  const steps = async () => {
    const events = server.store.events(id, 0, new AbortController().signal);
    for await (const { event } of events) if (event.type === "step") return;
  };
  await steps();
  await server.post(`/v1/runs/${id}/cancel`, {}, 202);
  const cancelled = await untilOver(server, id);
  deepStrictEqual(cancelled.state, "cancelled");
  ok(cancelled.checkpoint_step > 0 && cancelled.checkpoint_step < 200);
  await server.post(`/v1/runs/${id}/cancel`, {}, 409);

  await server.post(`/v1/runs/${id}/resume`, {}, 202);
  const run = await untilOver(server, id);
  deepStrictEqual([run.state, run.attempt], ["succeeded", 2]);
  deepStrictEqual(await weightsOf(server, run), expected);
  await server.post(`/v1/runs/${id}/resume`, {}, 409);

  deepStrictEqual((await server.app.request(`/v1/runs/${id}`, { method: "DELETE" })).status, 204);
  ok(!await exists(join(server.runsDir, id)));
  deepStrictEqual((await server.app.request(`/v1/runs/${id}`)).status, 404);
});

Deno.test("after a server was killed the next goes on with its runs", async () => {
  const runsDir = await Deno.makeTempDir();
  const serve = ["serve", "--port", "0", "--runs", runsDir, "--device", "wasm"];
  const servers: Deno.ChildProcess[] = [];
  const start = () => {
    const server = graft(...serve);
    servers.push(server);
    return server;
  };
  try {
    const killed = start();
    const url = await address(killed.stderr);
    const submit = async (name: string) => {
      const settings = { ...SETTINGS, max_steps: 2000, epochs: 1000, name };
      const body = JSON.stringify(settings);
      return (await (await fetch(`${url}/v1/runs`, { method: "POST", body })).json()).id as string;
    };
    const [first, second] = [await submit("first"), await submit("second")];
    const get = async (url: string, id: string): Promise<Run> =>
      await (await fetch(`${url}/v1/runs/${id}`)).json();
    const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
    while ((await get(url, first)).checkpoint_step === 0) await pause();
    killed.kill("SIGKILL");
    await killed.status;

    const next = start();
    const nextUrl = await address(next.stderr);
    while ((await get(nextUrl, first)).attempt < 2) await pause();
    ok((await get(nextUrl, first)).checkpoint_step > 0);
    match((await get(nextUrl, first)).state, /^(queued|running)$/);
    deepStrictEqual((await get(nextUrl, second)).state, "queued");
    for (const id of [second, first]) {
      const { status } = await fetch(`${nextUrl}/v1/runs/${id}/cancel`, { method: "POST" });
      deepStrictEqual(status, 202);
    }
    while ((await get(nextUrl, first)).state !== "cancelled") await pause();
    next.kill("SIGTERM");
    await next.status;
  } finally {
    for (const server of servers) {
      try {
        server.kill("SIGKILL");
      } catch {
        // It has ended, as it does unless the test has failed.
      }
    }
    await Deno.remove(runsDir, { recursive: true });
  }
});
