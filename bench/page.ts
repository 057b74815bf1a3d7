/**
 * Times the page's views on a server with much data: 10,000 runs, one of them of 100,000 steps,
 * 1,000 models, and an evaluation of 500 classes. The server's time is that of each request of a
 * view, the page's time that from a click to the awaited element, the server's included. Before them
 * comes what a server does as it starts: it finds its models. At last the page is opened anew in a
 * browser whose processor is throttled four times.
 *
 * @module
 */
import { join } from "node:path";
import { eventIntervalMs } from "../orchestration/run_follower.ts";
import { newRun } from "../orchestration/run_store.ts";
import { copyModel, LocalServer, writeModel } from "../tests/support/local_server.ts";
import { hasBrowser, WatchedPage } from "../tests/ui/browser.ts";

const RUNS = 10_000;
const STEPS = 100_000;
/** A step takes this long; at other paces a server keeps about as many of them, or fewer. */
const STEP_MS = 1000;
const THROTTLING = 4;
const MODELS = 1000;
const CLASSES = 500;
const TEXTS = 10_000;
const REPEATS = 5;

await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
console.error("Filling the server");
await addRuns();
await addSteps();
await addModels();
await addEvaluation();

// A server looks for its models as it starts, whether anybody asks or not.
const startedAt = performance.now();
await server.models.list();
console.log(`finding the models at the start, ms: ${written(performance.now() - startedAt)}`);

const views = [
  ["runs", "table.runs tbody tr", ["/v1/runs?limit=50"]],
  ["runs?state=failed", ".empty", ["/v1/runs?limit=50&state=failed"]],
  ["runs/long", ".u-over", ["/v1/runs/long", "/v1/runs/long/history?points=2000"]],
  ["models", "table.rows tbody tr", ["/v1/models?limit=100"]],
  ["evaluations", "table.rows tbody tr", ["/v1/evaluations?limit=50"]],
  ["evaluations/wide", "canvas", [
    "/v1/evaluations/wide",
    "/v1/evaluations/wide/rows?order=highest_score&right=false",
  ]],
] as const;

console.log("view, milliseconds: first request, median of the next, page");
for (const [view, selector, paths] of views) {
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const startedAt = performance.now();
    for (const path of paths) {
      const response = await server.app.request(path);
      await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status}`);
    }
    times.push(performance.now() - startedAt);
  }
  const [first, ...next] = times;
  const page = hasBrowser ? await pageMs(view, selector) : NaN;
  console.log([view, first!, median(next), page].map(written).join(", "));
}

const sizes = await Promise.all(["/", "/ui/app.js", "/ui/app.css"].map(compressedSize));
const kilobytes = sizes.reduce((sum, size) => sum + size, 0) / 1000;
console.log(`page, kB compressed: ${kilobytes.toFixed(0)}`);
if (hasBrowser) console.log(`until the runs can be used, throttled: ${written(await openingMs())}`);

async function compressedSize(path: string): Promise<number> {
  const response = await server.app.request(path, { headers: { "Accept-Encoding": "gzip" } });
  const { body, headers } = response;
  if (headers.get("Content-Encoding") === "gzip") return (await response.bytes()).length;
  return (await new Response(body!.pipeThrough(new CompressionStream("gzip"))).bytes()).length;
}

/** How long it takes to open the page on a slow machine, until it shows the runs and answers. */
async function openingMs(): Promise<number> {
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, server.app.fetch);
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    await using watched = await WatchedPage.open("about:blank");
    const { page } = watched;
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: THROTTLING });
    await page.goto(`http://127.0.0.1:${http.addr.port}/`);
    await page.locator("table.runs tbody tr").first().waitFor();
    // Since the navigation, and only when the page has time to answer.
    times.push(await page.evaluate("performance.now()") as number);
  }
  void http.shutdown();
  return median(times);
}

/** How long a view takes in a browser that has already loaded the page. */
async function pageMs(view: string, selector: string): Promise<number> {
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, server.app.fetch);
  await using watched = await WatchedPage.open(`http://127.0.0.1:${http.addr.port}/#/nowhere`);
  const { page } = watched;
  await page.getByText("There is nothing here").waitFor();
  const times: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    times.push(
      await page.evaluate(`new Promise((resolve) => {
        const startedAt = performance.now();
        location.hash = ${JSON.stringify(`#/${view}`)};
        const look = () => document.querySelector(${JSON.stringify(selector)}) !== null
          ? resolve(performance.now() - startedAt)
          : requestAnimationFrame(look);
        look();
      })`) as number,
    );
    await page.evaluate("location.hash = '#/nowhere'");
    await page.getByText("There is nothing here").waitFor();
  }
  void http.shutdown();
  return median(times);
}

async function addRuns(): Promise<void> {
  const settings = { model: "scratch:tiny", mode: "full", epochs: 2 };
  const fields = { settings, base: "scratch:tiny", dataset: "sample", state: "succeeded" } as const;
  for (let i = 0; i < RUNS; i++) {
    const created_at = new Date(Date.UTC(2026, 0, 1) + 60_000 * i).toISOString();
    await server.store.create(newRun({ id: `run-${i}`, name: `run ${i}`, created_at, ...fields }));
  }
}

async function addSteps(): Promise<void> {
  const fields = { settings: {}, base: "scratch:tiny", dataset: "sample" };
  await server.store.create(newRun({ id: "long", name: "long", ...fields }));
  let lastMs = -Infinity;
  for (let step = 1; step <= STEPS; step++) {
    const elapsedMs = STEP_MS * step;
    if (elapsedMs - lastMs < eventIntervalMs(elapsedMs)) continue;
    lastMs = elapsedMs;
    await server.store.append("long", {
      type: "step",
      step,
      epoch: step / 1000,
      loss: 2 / Math.sqrt(step) + Math.sin(step) / 10,
      grad_norm: 1 + Math.cos(step),
      learning_rate: 1e-3 * (1 - step / STEPS),
      tokens_per_second: 900,
      seconds_left: 1,
    });
  }
  await server.store.setState("long", "succeeded");
}

/** Adds one model under many names: the server tells its folders apart, and takes no bytes twice. */
async function addModels(): Promise<void> {
  const first = join(server.runsDir, "model-0");
  await writeModel(first, 1);
  for (let i = 1; i < MODELS; i++) await copyModel(first, join(server.runsDir, `model-${i}`));
}

async function addEvaluation(): Promise<void> {
  const labels = Array.from({ length: CLASSES }, (_, i) => `class ${i}`);
  const confusion_matrix = labels.map((_, i) =>
    labels.map((_, j) => i === j ? 15 : (i * 31 + j * 17) % 101 === 0 ? 1 : 0)
  );
  await server.store.createEvaluation({
    id: "wide",
    state: "succeeded",
    model: "model-0@1",
    dataset: "sample",
    created_at: new Date().toISOString(),
    job: { type: "evaluate", modelDir: "model-0", file: "test.csv", device: "wasm", dtype: "fp32" },
  });
  await Deno.mkdir(join(server.runsDir, "evaluations"), { recursive: true });
  await Deno.writeTextFile(
    server.supervisor.reportFile("wide"),
    JSON.stringify({
      problem_type: "single_label_classification",
      n: TEXTS,
      accuracy: 0.75,
      f1_macro: 0.74,
      seen: null,
      unseen: null,
      interval: { accuracy: [0.74, 0.76], f1_macro: [0.73, 0.75] },
      per_class: labels.map((label) => ({
        label,
        precision: 0.7,
        recall: 0.7,
        f1: 0.7,
        support: 20,
      })),
      confusion_matrix,
      samples_per_second: 100,
    }),
  );
  const rows = Array.from({ length: TEXTS }, (_, i) => {
    const label = labels[i % CLASSES]!;
    const predicted = i % 4 === 0 ? labels[(i + 7) % CLASSES]! : label;
    return JSON.stringify([
      `a text with the number ${i}`,
      label,
      predicted,
      (i % 100) / 100,
      false,
    ]);
  });
  await Deno.writeTextFile(server.supervisor.rowsFile("wide"), `${rows.join("\n")}\n`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function written(value: string | number): string {
  return typeof value === "string" ? value : value.toFixed(0);
}
