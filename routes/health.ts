/**
 * `/health`: whether the server is alive, and whether it can predict.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { createRouter, declareRoute, errorAnswers, jsonContent } from "./router.ts";

/** Whether the server can predict: it has started, and is not about to stop. */
export type IsReady = () => boolean;

const Status = z.object({ status: z.literal("ok") }).meta({ id: "Status" });

const live = declareRoute({
  method: "get",
  path: "/health/live",
  operationId: "isLive",
  scope: null,
  whileStopping: true,
  tags: ["health"],
  summary: "The server runs",
  responses: { 200: jsonContent(Status, "It does") },
});

const ready = ([["/health", "isHealthy"], ["/health/ready", "isReady"]] as const).map((
  [path, operationId],
) =>
  declareRoute({
    method: "get",
    path,
    operationId,
    scope: null,
    tags: ["health"],
    summary: "The server can predict",
    responses: { 200: jsonContent(Status, "It can"), ...errorAnswers(503) },
  })
);

/** The routes. */
export function healthRoutes(isReady: IsReady): OpenAPIHono {
  const router = createRouter();
  router.openapi(live, (context) => context.json({ status: "ok" as const }, 200));
  for (const route of ready) {
    router.openapi(route, (context) => {
      if (!isReady()) throw new HTTPException(503, { message: "The server is not ready" });
      return context.json({ status: "ok" as const }, 200);
    });
  }
  return router;
}
