import { deepStrictEqual, match, ok } from "node:assert";
import { Metrics } from "./server_metrics.ts";

/** The lines of a metric, without its buckets. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.registry.metrics();
  return text.split("\n").filter((line) => line.startsWith(name) && !line.includes("le="));
}

Deno.test("Metrics counts requests, failures, texts by version, and batches", async () => {
  const metrics = new Metrics();
  metrics.request("POST", "/predict", 200, 20);
  metrics.request("POST", "/predict", 429, 1);
  metrics.failure("overloaded");
  metrics.prediction("titles", 2, 3, 20);
  metrics.predictionFailure("titles", 3, 2);
  metrics.stages(1, 4);
  metrics.batch({ rows: 3, tokens: 27, durationMs: 15 });
  metrics.batch({ rows: 1, tokens: 9, durationMs: 5 });
  for (
    const [name, lines] of [
      ["graft_requests_total", [
        'graft_requests_total{method="POST",route="/predict",status="200"} 1',
        'graft_requests_total{method="POST",route="/predict",status="429"} 1',
      ]],
      ["graft_failures_total", ['graft_failures_total{error_type="overloaded"} 1']],
      ["graft_predictions_total", ['graft_predictions_total{model="titles",version="2"} 3']],
      ["graft_prediction_failures_total", [
        'graft_prediction_failures_total{model="titles",version="3"} 2',
      ]],
      ["graft_batch_rows", ["graft_batch_rows_sum 4", "graft_batch_rows_count 2"]],
      ["graft_batch_tokens_sum", ["graft_batch_tokens_sum 36"]],
      ["graft_inference_duration_seconds_sum", ["graft_inference_duration_seconds_sum 0.02"]],
      ["graft_tokenization_duration_seconds_sum", [
        "graft_tokenization_duration_seconds_sum 0.001",
      ]],
      ["graft_queue_duration_seconds_sum", ["graft_queue_duration_seconds_sum 0.004"]],
    ] as const
  ) deepStrictEqual(await samples(metrics, name), lines);
});

Deno.test("Metrics tells the memory and CPU time of the process", async () => {
  const metrics = new Metrics();
  const value = async (name: string) => Number((await samples(metrics, name))[0]!.split(" ")[1]);
  ok(await value("process_resident_memory_bytes") > 10_000_000);
  const before = await value("process_cpu_seconds_total");
  const until = performance.now() + 50;
  while (performance.now() < until);
  ok(await value("process_cpu_seconds_total") > before);
  match(await metrics.registry.metrics(), /# TYPE process_cpu_seconds_total counter/);
});

Deno.test("Metrics.versions() tells what each version has answered, and how fast", async () => {
  const metrics = new Metrics();
  metrics.prediction("titles", 1, 3, 10);
  metrics.prediction("titles", 1, 1, 30);
  metrics.predictionFailure("titles", 2, 5);
  deepStrictEqual(
    await metrics.versions(),
    new Map([
      ["titles@1", { texts: 4, failures: 0, meanMs: 20 }],
      ["titles@2", { texts: 0, failures: 5, meanMs: null }],
    ]),
  );
});
