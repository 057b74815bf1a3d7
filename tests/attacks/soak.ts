/**
 * Everything at once, for a while: predictions that are compared with those made alone, uploads,
 * runs whose subprocesses are killed, aliases, idle connections and damaged folders, while `/health`
 * and memory are watched: `deno task soak`, or `deno task soak 3600` for an hour.
 *
 * @module
 */
import { join } from "node:path";
import { TEXTS, writeModel } from "../local_server.ts";
import { AttackedServer, closeAll, pause } from "./attacked_server.ts";

const MODELS = ["first", "second"];
/** Rows of other requests in a batch may change the last bits of a score. */
const TOLERANCE = 1e-5;
const HEALTH_LIMIT_MS = 100;
/** Memory is compared with what it was when all parts had run for a while. */
const WARM_UP_SHARE = 0.5;
const GROWTH_LIMIT = 1.2;

type Scores = { label: string; score: number }[];

const seconds = Number(Deno.args[0] ?? 60);
await using server = await AttackedServer.start({}, async (runsDir) => {
  for (const [seed, name] of MODELS.entries()) await writeModel(join(runsDir, name), seed);
});

async function predict(model: string, text: string): Promise<Scores | number> {
  const { status, answer } = await server.post("/v1/predict", { model, inputs: [text] });
  return status === 200 ? (answer as { predictions: Scores[] }).predictions[0]! : status;
}

/** What a shell command prints, as a number. */
async function shell(command: string): Promise<number> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return Number(new TextDecoder().decode(stdout));
}

const expected = new Map<string, Scores>();
for (const model of MODELS) {
  for (const text of TEXTS) expected.set(`${model} ${text}`, await predict(model, text) as Scores);
}

const seen = { answers: 0, wrong: 0, lost: 0, uploads: 0, runs: 0, kills: 0, connections: 0 };
let slowestHealthMs = 0;
const memoryMb: number[] = [];
const descriptors: number[] = [];
const startedAt = performance.now();
const goesOn = () => performance.now() - startedAt < 1000 * seconds;

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)]!;
}

function isSame(a: Scores, b: Scores): boolean {
  return a.every(({ label, score }, i) =>
    label === b[i]?.label && Math.abs(score - b[i].score) < TOLERANCE
  );
}

const parts: (() => Promise<void>)[] = [
  ...Array.from({ length: 4 }, () => async () => {
    const [model, text] = [pick(MODELS), pick(TEXTS)];
    const scores = await predict(model, text);
    seen.answers++;
    if (typeof scores === "number") seen.lost++;
    else if (!isSame(scores, expected.get(`${model} ${text}`)!)) seen.wrong++;
  }),
  async () => {
    const askedAt = performance.now();
    if (await server.status("/health") !== 200) seen.lost++;
    slowestHealthMs = Math.max(slowestHealthMs, performance.now() - askedAt);
    await pause(50);
  },
  async () => {
    const rows = Array.from({ length: 2000 }, (_, i) => `${crypto.randomUUID()},${i % 2}\n`);
    const init = { method: "POST", body: `text,label\n${rows.join("")}` };
    const response = await fetch(`${server.url}/v1/datasets?name=soak`, init);
    await response.body?.cancel();
    if (response.status === 201) seen.uploads++;
    await fetch(`${server.url}/v1/datasets/soak`, { method: "DELETE" });
  },
  async () => {
    const run = { dataset: "sample", model: "scratch:tiny", max_steps: 50, save_steps: 10 };
    const { answer } = await server.post("/v1/runs", run);
    const { id } = answer as { id: string };
    let state = "queued";
    for (; goesOn() && /queued|running|lost/.test(state); await pause(200)) {
      ({ state } = await (await fetch(`${server.url}/v1/runs/${id}`)).json());
    }
    if (state === "succeeded") seen.runs++;
    await server.post(`/v1/runs/${id}/cancel`, {});
    await fetch(`${server.url}/v1/runs/${id}`, { method: "DELETE" });
  },
  async () => {
    await pause(15_000 * Math.random());
    await shell(`kill -9 $(ps -o pid= --ppid ${server.process.pid} | head -1)`);
    seen.kills++;
  },
  async () => {
    const path = `${server.url}/v1/models/${pick(MODELS)}/aliases/stable`;
    const body = JSON.stringify({ version: 1 });
    await (await fetch(path, { method: "PUT", body })).body?.cancel();
    await pause(200);
  },
  async () => {
    const connections = await server.connect(200, pick(["", "GET / HT"]));
    await pause(1000);
    closeAll(connections);
    seen.connections += connections.length;
  },
  async () => {
    await shell(`cd ${server.runsDir} && mkdir -p bad && rm -f bad/* && mkfifo bad/metrics.json`);
    await pause(1500);
    await shell(`cd ${server.runsDir} && rm -f bad/* && touch bad/metrics.json bad/config.json`);
    await pause(1500);
  },
  async () => {
    memoryMb.push(await server.residentMb());
    descriptors.push(await shell(`ls /proc/${server.process.pid}/fd | wc -l`));
    await pause(1000);
  },
];
await Promise.all(parts.map(async (part) => {
  while (goesOn()) {
    await part().catch((error) => {
      seen.lost++;
      console.error(error);
    });
  }
}));

const warm = Math.floor(memoryMb.length * WARM_UP_SHARE);
const before = Math.max(...memoryMb.slice(0, warm));
const after = Math.max(...memoryMb.slice(warm));
console.log(JSON.stringify({
  seconds,
  ...seen,
  slowest_health_ms: Math.round(slowestHealthMs),
  memory_mb: { first_half: Math.round(before), second_half: Math.round(after) },
  most_descriptors: Math.max(...descriptors),
}));
const isGood = seen.wrong === 0 && seen.lost === 0 && slowestHealthMs < HEALTH_LIMIT_MS &&
  after < before * GROWTH_LIMIT;
Deno.exitCode = isGood ? 0 : 1;
