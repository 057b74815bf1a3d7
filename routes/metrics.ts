/**
 * `/metrics`: what the server counts and times, as Prometheus reads it.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { Metrics } from "../serving/metrics.ts";
import { createRouter, declareRoute } from "./router.ts";

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

/** The route. */
export function metricsRoutes({ registry }: Metrics): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    return context.text(await registry.metrics(), 200, { "Content-Type": registry.contentType });
  });
}
