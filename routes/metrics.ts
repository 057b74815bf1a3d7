/**
 * `/metrics`: the server's counts and times, for Prometheus.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { RUN_STATES } from "../orchestration/run_store.ts";
import type { Metrics } from "../serving/server_metrics.ts";
import { createRouter, declareRoute } from "./router.ts";
import { storage, type StorageOptions } from "./storage.ts";

const route = declareRoute({
  method: "get",
  path: "/metrics",
  operationId: "getMetrics",
  scope: "predict",
  whileStopping: true,
  tags: ["health"],
  summary: "Metrics for Prometheus",
  responses: {
    200: { description: "The metrics", content: { "text/plain": { schema: z.string() } } },
  },
});

/** Options of {@link metricsRoutes}. */
export type MetricsRoutesOptions = StorageOptions & { metrics: Metrics };

/** The route. */
export function metricsRoutes({ metrics, ...options }: MetricsRoutesOptions): OpenAPIHono {
  const { store, supervisor } = options;
  const { registry } = metrics;
  metrics.gauges("graft_runs", "Runs by their state", "state", async () => {
    const counts: Record<string, number> = Object.fromEntries(
      RUN_STATES.map((state) => [state, 0]),
    );
    for (const { state } of await store.summaries()) counts[state]!++;
    return counts;
  });
  metrics.gauge(
    "graft_job_queue_length",
    "Runs and evaluations that wait for a process",
    () => supervisor.queueLength,
  );
  metrics.gauges(
    "graft_job_queue_wait_seconds",
    "How long the run that was created first of those that are queued has waited",
    "kind",
    async () => {
      const queued = (await store.summaries()).filter(({ state }) => state === "queued");
      const first = Math.min(Date.now(), ...queued.map((run) => Date.parse(run.created_at)));
      return { run: (Date.now() - first) / 1000 };
    },
  );
  metrics.gauges("graft_disk_bytes", "Bytes taken on the disk", "kind", async () => {
    const { runs, datasets } = await storage(options);
    const sum = (parts: { bytes: number }[]) => parts.reduce((sum, { bytes }) => sum + bytes, 0);
    return { runs: sum(runs), datasets: sum(datasets) };
  });
  if (options.diskBudgetBytes !== undefined) {
    const budget = options.diskBudgetBytes;
    metrics.gauge("graft_disk_budget_bytes", "The most that may be taken there", () => budget);
  }
  return createRouter().openapi(route, async (context) => {
    return context.text(await registry.metrics(), 200, { "Content-Type": registry.contentType });
  });
}
