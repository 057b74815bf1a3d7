/**
 * `/v1/runs`: training runs.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { z } from "zod";
import type { Run } from "../orchestration/run_store.ts";
import { isTuning } from "../orchestration/tuning_work.ts";
import type { ModelCache } from "../serving/model_cache.ts";
import { aboutToStop } from "./errors.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";
import { RunFinder, type RunFinderOptions } from "./run_finder.ts";
import { RunRequests, type RunRequestsOptions } from "./run_requests.ts";
import {
  CheckedSettings,
  RetryRequest,
  RunAnswer,
  RunHistoryAnswer,
  RunList,
  RunRequest,
  STATES,
} from "./run_schemas.ts";

const MAX_PAGE = 200;
const MAX_KEY_LENGTH = 200;

const tags = ["runs"];
const params = z.object({ id: z.string() });

const create = declareRoute({
  method: "post",
  path: "/v1/runs",
  operationId: "createRun",
  scope: "manage",
  tags,
  summary: "Train a model; with the header Idempotency-Key the same request does so once",
  request: {
    headers: z.object({
      "Idempotency-Key": z.string()
        .max(MAX_KEY_LENGTH, `must be at most ${MAX_KEY_LENGTH} characters`).optional(),
    }),
    body: jsonBody(RunRequest),
  },
  responses: {
    202: jsonContent(RunAnswer, "The run is queued"),
    ...errorAnswers(409, 422, 429, 503, 507),
  },
});

const settingsOf = declareRoute({
  method: "post",
  path: "/v1/runs/settings",
  operationId: "checkRun",
  scope: "manage",
  tags,
  summary:
    "Check a request for a run, and fill in the defaults that suit its base; nothing is trained",
  request: { body: jsonBody(RunRequest) },
  responses: {
    200: jsonContent(CheckedSettings, "The settings that the run would have"),
    ...errorAnswers(422),
  },
});

const list = declareRoute({
  method: "get",
  path: "/v1/runs",
  operationId: "listRuns",
  scope: "manage",
  tags,
  summary: "Runs, the newest first",
  request: {
    query: z.object({
      state: z.enum(STATES).optional(),
      name: z.string().optional(),
      dataset: z.string().optional(),
      trial_of: z.string().optional().describe("The trials of this run, which no other list has"),
      limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50),
      after: z.string().optional().describe("The last run of the page before"),
    }),
  },
  responses: {
    200: jsonContent(RunList, "A page of runs"),
    ...errorAnswers(404, 422),
  },
});

const show = declareRoute({
  method: "get",
  path: "/v1/runs/{id}",
  operationId: "getRun",
  scope: "manage",
  tags,
  summary: "One run",
  request: { params },
  responses: { 200: jsonContent(RunAnswer, "The run"), ...errorAnswers(404) },
});

const remove = declareRoute({
  method: "delete",
  path: "/v1/runs/{id}",
  operationId: "deleteRun",
  scope: "manage",
  tags,
  summary: "Remove a run that is over, with its files, its trials and the model",
  request: { params },
  responses: { 204: { description: "Removed" }, ...errorAnswers(404, 409) },
});

const action = (name: string, summary: string) =>
  declareRoute({
    method: "post",
    path: `/v1/runs/{id}/${name}`,
    operationId: `${name}Run`,
    scope: "manage",
    tags,
    summary,
    request: { params },
    responses: { 202: jsonContent(RunAnswer, "The run"), ...errorAnswers(404, 409, 503) },
  });

const cancel = action("cancel", "Stop a run within a step, with a checkpoint, and its trials");
const resume = action("resume", "Go on with a run that was cancelled or has failed");

const retry = declareRoute({
  method: "post",
  path: "/v1/runs/{id}/retry",
  operationId: "retryRun",
  scope: "manage",
  tags,
  summary: "Train anew with the settings of a run, but for those that are given",
  request: { params, body: jsonBody(RetryRequest) },
  responses: {
    202: jsonContent(RunAnswer, "Another run is queued"),
    ...errorAnswers(404, 409, 422, 429, 503),
  },
});

const events = declareRoute({
  method: "get",
  path: "/v1/runs/{id}/events",
  operationId: "followRun",
  scope: "manage",
  tags,
  summary: "Follow a run: server-sent events, from Last-Event-ID or 'after' on",
  request: {
    params,
    query: z.object({ after: z.coerce.number().int().min(0).default(0) }),
    headers: z.object({
      "Last-Event-ID": z.string().optional().describe("The number of the last event received"),
    }),
  },
  responses: {
    200: { description: "The events", content: { "text/event-stream": { schema: z.string() } } },
    ...errorAnswers(404, 409),
  },
});

const history = declareRoute({
  method: "get",
  path: "/v1/runs/{id}/history",
  operationId: "showRunHistory",
  scope: "manage",
  tags,
  summary: "The curves of a run so far",
  request: {
    params,
    query: z.object({ points: z.coerce.number().int().min(2).max(20_000).default(2000) }),
  },
  responses: { 200: jsonContent(RunHistoryAnswer, "The history"), ...errorAnswers(404, 422) },
});

/** Options of {@link runRoutes}. */
export interface RunRoutesOptions extends RunRequestsOptions, Omit<RunFinderOptions, "supervisor"> {
  cache: ModelCache;
}

/** The routes. */
export function runRoutes(options: RunRoutesOptions): OpenAPIHono {
  const { supervisor } = options;
  const runs = new RunFinder(options);
  const requests = new RunRequests(options, runs);
  const router = createRouter();
  router.openapi(create, async (context) => {
    const body = context.req.valid("json");
    const key = context.req.valid("header")["Idempotency-Key"];
    const run = key === undefined
      ? await requests.submit(body)
      : await requests.submitOnce(body, apiKeyName(context), key);
    context.header("Location", `/v1/runs/${run.id}`);
    return context.json(runs.answer(run), 202);
  });
  router.openapi(settingsOf, async (context) => {
    const settings = await requests.settingsOf(context.req.valid("json"));
    return context.json({ settings }, 200);
  });
  router.openapi(list, async (context) => {
    const { items, next } = await runs.page(context.req.valid("query"));
    return context.json({ runs: items, next }, 200);
  });
  router.openapi(show, async (context) => {
    return context.json(runs.answer(await runs.get(context.req.valid("param").id)), 200);
  });
  router.openapi(remove, async (context) => {
    const { id } = await runs.getOwn(context.req.valid("param").id);
    const version = await options.models.resolve(id).catch(() => undefined);
    await supervisor.delete(id);
    runs.forget(id);
    if (version !== undefined) options.cache.forget([version]);
    return context.body(null, 204);
  });
  router.openapi(cancel, async (context) => {
    const { id } = await runs.getOwn(context.req.valid("param").id);
    return context.json(runs.answer(await supervisor.cancel(id)), 202);
  });
  router.openapi(resume, async (context) => {
    if (supervisor.closed) throw aboutToStop();
    using _place = supervisor.reserve();
    const { id } = await runs.getOwn(context.req.valid("param").id);
    return context.json(runs.answer(await supervisor.resume(id)), 202);
  });
  router.openapi(retry, async (context) => {
    const old = await runs.getOwn(context.req.valid("param").id);
    if (old.trial_of !== undefined) {
      const message = `Cannot retry run '${old.id}': it is a trial of run '${old.trial_of}'`;
      throw new HTTPException(409, { message });
    }
    const run = await requests.submit({ ...requestOf(old), ...context.req.valid("json") }, old.id);
    context.header("Location", `/v1/runs/${run.id}`);
    return context.json(runs.answer(run), 202);
  });
  router.openapi(events, async (context) => {
    const { id } = await runs.getOwn(context.req.valid("param").id);
    const last = Math.max(0, Math.trunc(Number(context.req.valid("header")["Last-Event-ID"]) || 0));
    const after = Math.max(last, context.req.valid("query").after);
    return streamSSE(context, (stream) => writeEvents(stream, id, after, options));
  });
  router.openapi(history, async (context) => {
    const { points } = context.req.valid("query");
    return context.json(await runs.history(context.req.valid("param").id, points), 200);
  });
  return router;
}

/**
 * The request that a run came from; its kind of problem is that of its data set. A search for
 * settings that has ended is not repeated.
 */
function requestOf(run: Run) {
  const { id, name, settings, dataset, promote, worker_label } = run;
  const { problem_type: _, ...others } = settings;
  const request = { ...others, dataset, promote, worker_label, ...name !== id && { name } };
  if (!isTuning(run)) return request;
  const { trials, minutes } = run.tuning;
  return { ...request, tune: { trials: trials.length, minutes } };
}

/** Writes the events of a run until it is over, the client goes or the server stops. */
async function writeEvents(
  stream: SSEStreamingApi,
  id: string,
  after: number,
  { store, supervisor }: Pick<RunRoutesOptions, "store" | "supervisor">,
): Promise<void> {
  const aborted = new AbortController();
  stream.onAbort(() => aborted.abort());
  const signal = AbortSignal.any([aborted.signal, supervisor.closing]);
  for await (const { id: eventId, event } of store.events(id, after, signal)) {
    await stream.writeSSE({ id: String(eventId), event: event.type, data: JSON.stringify(event) });
  }
}

/** The name of a request's API key; "" if there is none. */
function apiKeyName(context: Context): string {
  return context.get("apiKey") ?? "";
}
