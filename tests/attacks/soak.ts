/**
 * Everything at once, for a while: predictions that are compared with those made alone, in another
 * process; uploads, runs whose subprocesses are killed, aliases, idle connections, damaged folders and
 * a full disk, while `/health`, memory and descriptors are watched: `deno task soak`, or
 * `deno task soak 3600` for an hour. The disk is one in memory, which only root may make; without it
 * none is filled.
 *
 * @module
 */
import { join } from "node:path";
import { TextClassifier } from "../../models/inference/text_classifier.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { TEXTS, writeModel } from "../support/local_server.ts";
import { AttackedServer, closeAll, pause } from "./attacked_server.ts";

const MODELS = ["first", "second"];
/** The largest difference of scores: other requests' rows in a batch may change the last bits. */
const TOLERANCE = 1e-5;
const HEALTH_LIMIT_MS = 100;
/** The share of the time that is warm-up: later memory is compared with that until then. */
const WARM_UP_SHARE = 0.5;
const GROWTH_LIMIT = 1.2;
/** The size of the disk, with room for the models, some data sets and runs. */
const DISK_SIZE = "100m";
/** The time within which everything begun must be over. */
const SETTLING_MS = 60_000;
/** Texts to classify: short ones, and long ones that are cut into tokens in the Worker. */
const ASKED = [
  ...TEXTS,
  ...Array.from({ length: 50 }, (_, i) => Array.from({ length: i + 1 }, pickWord).join(" ")),
  ...Array.from({ length: 5 }, () => Array.from({ length: 2000 }, pickWord).join(" ")),
];

type Scores = { label: string; score: number }[];

const seconds = Number(Deno.args[0] ?? 60);
let hasDisk = false;
// Elsewhere clients take no time of the server's cores; only root may put it before them here.
const first = "renice -n -10 $$ > /dev/null 2>&1";
await using server = await AttackedServer.start({ before: first }, async (runsDir) => {
  hasDisk = await succeeds(`mount -t tmpfs -o size=${DISK_SIZE} tmpfs ${runsDir}`);
  if (!hasDisk) console.error("No disk is filled: a small one could not be made");
  for (const [seed, name] of MODELS.entries()) await writeModel(join(runsDir, name), seed);
});

function pickWord(): string {
  return pick(TEXTS.flatMap((text) => text.split(" ")));
}

async function succeeds(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", command] }).output()).success;
}

async function predict(model: string, text: string): Promise<Scores | number> {
  const body = { model, inputs: [text], truncate: true };
  const { status, answer } = await post("/v1/predict", body);
  if (status === 200) return (answer as { predictions: Scores[] }).predictions[0]!;
  console.error(`A prediction was answered with ${status}:`, answer);
  return status;
}

/** Sends a request, and repeats it if a kept connection ends as it is used again, as clients do. */
async function request(url: string, init?: RequestInit): Promise<Response> {
  return await fetch(url, init).catch(() => fetch(url, init));
}

async function post(path: string, body: unknown): ReturnType<AttackedServer["post"]> {
  return await server.post(path, body).catch(() => server.post(path, body));
}

/** The output of a shell command, as a number. */
async function shell(command: string): Promise<number> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return Number(new TextDecoder().decode(stdout));
}

const expected = new Map<string, Scores>();
{
  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  for (const model of MODELS) {
    const classifier = await TextClassifier.load(executor, join(server.runsDir, model));
    for (const text of ASKED) {
      expected.set(`${model} ${text}`, (await classifier.classify([text]))[0]!);
    }
  }
}

const seen = {
  answers: 0,
  wrong: 0,
  lost: 0,
  uploads: 0,
  refused_uploads: 0,
  runs: 0,
  failed_runs: 0,
  stuck_runs: 0,
  kills: 0,
  connections: 0,
  full_disks: 0,
};
const memoryMb: number[] = [];
const descriptors: number[] = [];
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
    const [model, text] = [pick(MODELS), pick(ASKED)];
    const scores = await predict(model, text);
    seen.answers++;
    if (typeof scores === "number") seen.lost++;
    else if (!isSame(scores, expected.get(`${model} ${text}`)!)) seen.wrong++;
    // Some of the time is left to runs and uploads.
    await pause(40 * Math.random());
  }),
  async () => {
    const rows = Array.from({ length: 2000 }, (_, i) => `${crypto.randomUUID()},${i % 2}\n`);
    const init = { method: "POST", body: `text,label\n${rows.join("")}` };
    const response = await request(`${server.url}/v1/datasets?name=soak`, init);
    await response.body?.cancel();
    if (response.status === 201) seen.uploads++;
    else if (response.status === 503 || hasDisk && response.status === 507) seen.refused_uploads++;
    else throw new Error(`an upload was answered with ${response.status}`);
    await request(`${server.url}/v1/datasets/soak`, { method: "DELETE" });
  },
  async () => {
    const run = { dataset: "sample", model: "scratch:tiny", max_steps: 50, save_steps: 10 };
    const { status, answer } = await post("/v1/runs", run);
    if (hasDisk && status === 507) return await pause(1000);
    if (status !== 202) throw new Error(`a run was answered with ${status}`);
    const { id } = answer as { id: string };
    let { state, error } = { state: "queued", error: undefined };
    for (; goesOn() && /queued|running|lost/.test(state); await pause(200)) {
      ({ state, error } = await (await request(`${server.url}/v1/runs/${id}`)).json());
    }
    if (state === "succeeded") seen.runs++;
    if (state === "failed") {
      seen.failed_runs++;
      console.error("A run failed:", error);
    }
    await post(`/v1/runs/${id}/cancel`, {});
    await request(`${server.url}/v1/runs/${id}`, { method: "DELETE" });
  },
  async () => {
    await pause(5000 + 30_000 * Math.random());
    await shell(`kill -9 $(ps -o pid= --ppid ${server.process.pid} | head -1)`);
    seen.kills++;
  },
  async () => {
    const path = `${server.url}/v1/models/${pick(MODELS)}/aliases/stable`;
    const body = JSON.stringify({ version: 1 });
    await (await request(path, { method: "PUT", body })).body?.cancel();
    await pause(200);
  },
  async () => {
    const connections = await server.connect(100, pick(["", "GET / HT"]));
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
    await pause(10_000 + 40_000 * Math.random());
    if (!hasDisk) return;
    await shell(`cat /dev/zero > ${server.runsDir}/filling`);
    seen.full_disks++;
    await pause(3000);
    await Deno.remove(join(server.runsDir, "filling"));
  },
  async () => {
    memoryMb.push(await server.residentMb());
    descriptors.push(await shell(`ls /proc/${server.process.pid}/fd | wc -l`));
    await pause(1000);
  },
];
// A server that is at work: the first answers of a new one are a matter of its start.
for (const model of MODELS) for (const text of ASKED) await predict(model, text);
const probe = new Worker(new URL("../../bench/health_probe.ts", import.meta.url), {
  type: "module",
});
const probed = new Promise<number[]>((resolve) => {
  probe.onmessage = ({ data }: MessageEvent<number[]>) => resolve(data);
});
probe.postMessage(`${server.url}/health`);
// The probe connects before its process is busy with the clients.
await pause(1000);
const startedAt = performance.now();
await Promise.all(parts.map(async (part) => {
  while (goesOn()) {
    await part().catch((error) => {
      seen.lost++;
      console.error(error);
    });
  }
}));
probe.postMessage("");
const healthMs = (await probed).sort((a, b) => a - b);
probe.terminate();
seen.lost += healthMs.filter((ms) => ms === Infinity).length;
const slowestHealthMs = healthMs.at(-1)!;

/** The number of runs that are not over, although nothing stops them any more. */
async function stuckRuns(): Promise<number> {
  const endsAt = performance.now() + SETTLING_MS;
  for (let running = 1;; await pause(500)) {
    const { runs } = await (await request(`${server.url}/v1/runs`)).json();
    running = runs.filter(({ state }: { state: string }) =>
      /queued|running|lost/.test(state)
    ).length;
    if (running === 0 || performance.now() > endsAt) return running;
  }
}
seen.stuck_runs = await stuckRuns();
if (hasDisk) await shell(`umount -l ${server.runsDir}`);

const warm = Math.floor(memoryMb.length * WARM_UP_SHARE);
const before = Math.max(...memoryMb.slice(0, warm));
const after = Math.max(...memoryMb.slice(warm));
console.log(JSON.stringify({
  seconds,
  ...seen,
  health_ms: {
    median: Math.round(healthMs[Math.floor(healthMs.length / 2)]!),
    p99: Math.round(healthMs[Math.floor(healthMs.length * 0.99)]!),
    most: Math.round(slowestHealthMs),
  },
  memory_mb: { first_half: Math.round(before), second_half: Math.round(after) },
  most_descriptors: Math.max(...descriptors),
}));
const isGood = seen.wrong === 0 && seen.lost === 0 && seen.stuck_runs === 0 &&
  slowestHealthMs < HEALTH_LIMIT_MS && after < before * GROWTH_LIMIT;
Deno.exitCode = isGood ? 0 : 1;
