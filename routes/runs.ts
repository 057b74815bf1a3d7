/**
 * `/v1/runs`: training runs.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { join } from "node:path";
import { z } from "zod";
import { SCRATCH_MODELS } from "../models/config.ts";
import { datasetDir, DATASETS } from "../data/dataset.ts";
import type { Run, RunStore } from "../training/run_store.ts";
import { TrainSettings } from "../training/settings.ts";
import { camelCase, mapKeys, snakeCase } from "../training/snake_case.ts";
import type { Supervisor } from "../training/supervisor.ts";
import { createRouter, errorAnswers, jsonBody, jsonContent } from "./router.ts";

/** The settings of `train` in snake_case, with the names of the data set and of the model to be. */
const RunRequest = z.strictObject({
  ...mapKeys<z.ZodType>(TrainSettings.shape, snakeCase),
  // Over HTTP a model is never a path; those with random weights are trained as a whole.
  mode: z.literal("full", "must be full: the others need a pretrained base").default("full"),
  model: z.enum(SCRATCH_MODELS).default("scratch:tiny"),
  dataset: z.enum(DATASETS),
  name: z.string().regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "must be 1 to 64 of A-Z a-z 0-9 . _ -",
  )
    .optional(),
}).meta({ id: "RunRequest" });

/** The type says all of it; the schema describes what a client relies on. */
const RunAnswer = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  settings: z.record(z.string(), z.unknown()),
  dataset: z.string(),
  created_at: z.string(),
  event_count: z.int(),
}).meta({ id: "Run" }) as unknown as z.ZodType<Run>;

const tags = ["runs"];
const params = z.object({ id: z.string() });

const create = createRoute({
  method: "post",
  path: "/v1/runs",
  tags,
  summary: "Train a model",
  request: { body: jsonBody(RunRequest) },
  responses: { 202: jsonContent(RunAnswer, "The run is queued"), ...errorAnswers(422, 503) },
});

const list = createRoute({
  method: "get",
  path: "/v1/runs",
  tags,
  summary: "All runs, the newest first",
  responses: { 200: jsonContent(z.object({ runs: z.array(RunAnswer) }), "The runs") },
});

const show = createRoute({
  method: "get",
  path: "/v1/runs/{id}",
  tags,
  summary: "One run",
  request: { params },
  responses: { 200: jsonContent(RunAnswer, "The run"), ...errorAnswers(404) },
});

const events = createRoute({
  method: "get",
  path: "/v1/runs/{id}/events",
  tags,
  summary: "Follow a run: server-sent events, from Last-Event-ID on",
  request: { params },
  responses: {
    200: { description: "The events", content: { "text/event-stream": { schema: z.string() } } },
    ...errorAnswers(404),
  },
});

/** What the routes need. */
export interface RunRoutesOptions {
  store: RunStore;
  supervisor: Supervisor;
  /** Where the runs' folders are made. */
  runsDir: string;
}

/** The routes. */
export function runRoutes({ store, supervisor, runsDir }: RunRoutesOptions): OpenAPIHono {
  const find = async (id: string): Promise<Run> => {
    const run = await store.get(id);
    if (run === undefined) throw new HTTPException(404, { message: `There is no run '${id}'` });
    return run;
  };

  return createRouter()
    .openapi(create, async (context) => {
      if (supervisor.closed) throw new HTTPException(503, { message: "The server is stopping" });
      const { dataset, name, ...rest } = context.req.valid("json");
      const id = crypto.randomUUID();
      const run: Run = {
        id,
        name: name ?? id,
        state: "queued",
        settings: rest,
        dataset,
        created_at: new Date().toISOString(),
        event_count: 0,
      };
      await supervisor.submit(run, {
        settings: TrainSettings.parse(mapKeys(rest, camelCase)),
        dataDir: datasetDir(dataset),
        outDir: join(runsDir, id),
      });
      context.header("Location", `/v1/runs/${id}`);
      return context.json(run, 202);
    })
    .openapi(list, async (context) => {
      return context.json({ runs: await store.list() }, 200);
    })
    .openapi(
      show,
      async (context) => context.json(await find(context.req.valid("param").id), 200),
    )
    .openapi(events, async (context) => {
      const { id } = await find(context.req.valid("param").id);
      const after = Math.max(0, Math.trunc(Number(context.req.header("Last-Event-ID")) || 0));
      return streamSSE(context, async (stream) => {
        const aborted = new AbortController();
        stream.onAbort(() => aborted.abort());
        for await (const { id: eventId, event } of store.events(id, after, aborted.signal)) {
          await stream.writeSSE({
            id: String(eventId),
            event: event.type,
            data: JSON.stringify(event),
          });
        }
      });
    });
}
