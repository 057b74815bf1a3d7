/**
 * `/v1/runs`: training runs.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { streamSSE } from "hono/streaming";
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { z } from "zod";
import type { DatasetLibrary } from "../data/dataset_library.ts";
import { exists } from "../lib/files.ts";
import type { ProblemType } from "../data/labels.ts";
import { readConfig, tuningDefaults } from "../models/family.ts";
import { isAdapter } from "../models/formats/adapter.ts";
import { CONFIG_FILE, OWN_MODELS } from "../models/formats/config.ts";
import { chooseDevice, DeviceError } from "../onnx/runtime/device.ts";
import type { ModelCache } from "../serving/model_cache.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { type FolderRun, FolderRuns } from "../orchestration/folder_runs.ts";
import { RunHistories } from "../orchestration/run_history.ts";
import {
  type IdempotentRequest,
  isOver,
  newestFirst,
  newRun,
  type Run,
  type RunStore,
  type RunSummary,
} from "../orchestration/run_store.ts";
import { TrainSettings, withModelDefaults } from "../training/settings.ts";
import { camelCase, mapKeys, snakeCase } from "../lib/snake_case.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { aboutToStop, invalidField } from "./errors.ts";
import {
  CheckedSettings,
  RetryRequest,
  RunAnswer,
  RunHistoryAnswer,
  RunList,
  RunRequest,
  STATES,
} from "./run_schemas.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";
import type { DiskBudget } from "./storage.ts";

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
  summary: "Remove a run that is over, with its files and the model",
  request: { params },
  responses: { 204: { description: "It is gone" }, ...errorAnswers(404, 409) },
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

const cancel = action("cancel", "Stop a run within a step, with a checkpoint");
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
    ...errorAnswers(404, 422, 429, 503),
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
      "Last-Event-ID": z.string().optional().describe("The last event that has come"),
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
  summary: "A run so far, to be drawn",
  request: {
    params,
    query: z.object({ points: z.coerce.number().int().min(2).max(20_000).default(2000) }),
  },
  responses: { 200: jsonContent(RunHistoryAnswer, "The history"), ...errorAnswers(404, 422) },
});

/** Options of {@link runRoutes}. */
export interface RunRoutesOptions {
  store: RunStore;
  supervisor: Supervisor;
  /** The folder of the runs. */
  runsDir: string;
  models: ModelRegistry;
  cache: ModelCache;
  datasets: DatasetLibrary;
  /** The bases beside the server's own models: folders, by their names, and names on the hub. */
  allowedBases?: readonly string[];
  /** Whether runs are trained on other machines, whose devices are unknown here. */
  trainsElsewhere?: boolean;
  budget: DiskBudget;
}

/** The routes. */
export function runRoutes(options: RunRoutesOptions): OpenAPIHono {
  const { store, supervisor, datasets } = options;
  const histories = new RunHistories(store);
  // The other machines of a cluster do not see the folders of this one.
  const folder = options.trainsElsewhere === true ? undefined : new FolderRuns(options.runsDir);
  const find = async (id: string): Promise<Run | FolderRun> => {
    const run = await store.get(id) ?? await folder?.get(id);
    if (run === undefined) throw new HTTPException(404, { message: `There is no run '${id}'` });
    return run;
  };
  /** A run that the server itself has started. */
  const findOwn = async (id: string): Promise<Run> => {
    const run = await find(id);
    if (!isReadOnly(run)) return run;
    const message = `Run '${id}' was begun on the command line, and is only shown here`;
    throw new HTTPException(409, { message });
  };
  const answer = (
    { base: _base, artifacts: _artifacts, ...run }: Run | FolderRun,
  ): z.infer<typeof RunAnswer> => {
    const lostForMs = supervisor.lostForMs(run.id);
    if (run.state !== "running" || lostForMs === undefined) return run;
    return { ...run, state: "lost", silent_seconds: Math.round(lostForMs / 1000) };
  };

  /** Refuses a promotion that would be refused once the model exists. */
  const checkPromotion = async (name: string, dataset: string, problemType: ProblemType) => {
    const { labels, label_names } = await datasets.audit(dataset);
    const other = await options.models.otherClasses(name, problemType, [labels, label_names]);
    if (other === undefined) return;
    throw invalidField(
      "promote",
      `the classes of '${dataset}' are others than those of '${name}@${other.version}', for which ` +
        `'${name}' stands; leave it out, and point the alias 'current' to the model when it is there`,
    );
  };

  /** Checks everything that can be checked before a run is queued. */
  const check = async (request: Record<string, unknown>) => {
    const { dataset, name, promote, worker_label, ...settings } = RunRequest.parse(request);
    if (worker_label !== undefined && options.trainsElsewhere !== true) {
      throw invalidField("worker_label", "only the workers of a cluster have labels");
    }
    if (name !== undefined && await store.get(name) !== undefined) {
      throw invalidField("name", `'${name}' is the id of a run, by which its model is known`);
    }
    if (!await datasets.has(dataset)) {
      throw invalidField("dataset", `there is no data set '${dataset}'`);
    }
    const problemType = await datasets.problemType(dataset);
    if ((settings["problem_type"] ?? problemType) !== problemType) {
      throw invalidField("problem_type", `that of the data set '${dataset}' is ${problemType}`);
    }
    settings["problem_type"] = problemType;
    const { data: known, error } = TrainSettings.safeParse(mapKeys(settings, camelCase));
    if (error !== undefined) {
      const { path, message } = error.issues[0]!;
      throw invalidField(snakeCase(String(path[0])), message);
    }
    if (promote === true && name !== undefined) await checkPromotion(name, dataset, problemType);
    const base = await baseOf(known.model, options);
    // There is always a device to choose, and asking for a GPU takes the thread that answers.
    if (options.trainsElsewhere !== true && known.device !== "auto") {
      await chooseDevice(known.device).catch((error) => {
        if (error instanceof DeviceError) throw invalidField("device", error.message);
        throw error;
      });
    }
    return { dataset, name, promote, worker_label, settings, known, base };
  };

  const submit = async (
    context: Context,
    request: Record<string, unknown>,
    origin: { retry_of?: string; created?: IdempotentRequest } = {},
  ) => {
    if (supervisor.closed) throw aboutToStop();
    using _place = supervisor.reserve();
    const { dataset, name, promote, worker_label, settings, base } = await check(request);
    using _room = await options.budget.reserve();
    const id = crypto.randomUUID();
    const { retry_of } = origin;
    const fields = { settings, base, dataset, promote, worker_label, retry_of };
    const run = newRun({ id, name: name ?? id, ...fields });
    if (!await supervisor.submit(run, origin.created)) return undefined;
    context.header("Location", `/v1/runs/${id}`);
    return answer(run);
  };

  const router = createRouter();
  router.openapi(create, async (context) => {
    const request = context.req.valid("json");
    const key = context.req.valid("header")["Idempotency-Key"];
    if (key === undefined) return context.json(await submit(context, request), 202);
    const sha256 = createHash("sha256").update(JSON.stringify(request)).digest("hex");
    const idempotent = { owner: apiKeyName(context), key, sha256 };
    let created = await store.created(idempotent);
    if (created === undefined) {
      const run = await submit(context, request, { created: idempotent });
      if (run !== undefined) return context.json(run, 202);
      // The same request came a second time, and was faster.
      created = (await store.created(idempotent))!;
    }
    if (created.sha256 !== sha256) {
      const message = `The Idempotency-Key '${key}' was used for another request`;
      throw new HTTPException(409, { message });
    }
    context.header("Location", `/v1/runs/${created.runId}`);
    return context.json(answer(await find(created.runId)), 202);
  });
  router.openapi(settingsOf, async (context) => {
    const { known, base } = await check(context.req.valid("json"));
    // A model on the hub is known once it has been downloaded.
    const suiting = await exists(join(base, CONFIG_FILE))
      ? { defaults: tuningDefaults(await readConfig(base)) }
      : undefined;
    const settings = Object.entries(withModelDefaults(known, suiting)).flatMap(([key, value]) =>
      value === undefined ? [] : [[snakeCase(key), value] as const]
    );
    return context.json({ settings: Object.fromEntries(settings) }, 200);
  });
  router.openapi(list, async (context) => {
    const { limit, after, name, state, dataset } = context.req.valid("query");
    const page: z.infer<typeof RunAnswer>[] = [];
    let next: string | null = null;
    const begin = after === undefined ? undefined : await find(after);
    const isWanted = (summary: RunSummary) =>
      (name === undefined || summary.name.includes(name)) &&
      (dataset === undefined || summary.dataset === dataset) &&
      (state === undefined || summary.state === (state === "lost" ? "running" : state));
    const runs = folder === undefined
      ? store.newest(begin, isWanted)
      : newestOf(store.newest(begin, isWanted), folder.newest(begin));
    for await (const found of runs) {
      if (isReadOnly(found) && (!isWanted(found) || await store.get(found.id) !== undefined)) {
        continue;
      }
      const run = answer(found);
      // A running run may be lost.
      if (state !== undefined && run.state !== state) continue;
      if (page.length === limit) {
        next = page.at(-1)!.id;
        break;
      }
      page.push(run);
    }
    return context.json({ runs: page, next }, 200);
  });
  router.openapi(show, async (context) => {
    return context.json(answer(await find(context.req.valid("param").id)), 200);
  });
  router.openapi(remove, async (context) => {
    const { id } = await findOwn(context.req.valid("param").id);
    const version = await options.models.resolve(id).catch(() => undefined);
    await supervisor.delete(id);
    histories.forget(id);
    if (version !== undefined) options.cache.forget([version]);
    return context.body(null, 204);
  });
  router.openapi(cancel, async (context) => {
    const { id } = await findOwn(context.req.valid("param").id);
    return context.json(answer(await supervisor.cancel(id)), 202);
  });
  router.openapi(resume, async (context) => {
    if (supervisor.closed) throw aboutToStop();
    using _place = supervisor.reserve();
    const { id } = await findOwn(context.req.valid("param").id);
    return context.json(answer(await supervisor.resume(id)), 202);
  });
  router.openapi(retry, async (context) => {
    const { id, name, promote, worker_label, dataset, settings: { problem_type: _, ...settings } } =
      await findOwn(context.req.valid("param").id);
    const own = { dataset, promote, worker_label, ...name !== id && { name } };
    const request = { ...settings, ...own, ...context.req.valid("json") };
    return context.json(await submit(context, request, { retry_of: id }), 202);
  });
  router.openapi(events, async (context) => {
    const { id } = await findOwn(context.req.valid("param").id);
    const last = Math.max(0, Math.trunc(Number(context.req.valid("header")["Last-Event-ID"]) || 0));
    const after = Math.max(last, context.req.valid("query").after);
    return streamSSE(context, async (stream) => {
      const aborted = new AbortController();
      stream.onAbort(() => aborted.abort());
      const signal = AbortSignal.any([aborted.signal, supervisor.closing]);
      for await (const { id: eventId, event } of store.events(id, after, signal)) {
        await stream.writeSSE({
          id: String(eventId),
          event: event.type,
          data: JSON.stringify(event),
        });
      }
    });
  });
  router.openapi(history, async (context) => {
    const run = await find(context.req.valid("param").id);
    const { points } = context.req.valid("query");
    if (isReadOnly(run)) {
      return context.json({ ...await folder!.history(run, points), is_live: false }, 200);
    }
    const history = await histories.of(run.id, points);
    return context.json({ ...history, is_live: !isOver(run) }, 200);
  });
  return router;
}

function isReadOnly(run: Run | FolderRun): run is FolderRun {
  return "read_only" in run;
}

/** Merges the runs of two generators, each the newest first, in that order. */
async function* newestOf(
  a: AsyncGenerator<Run>,
  b: AsyncGenerator<FolderRun>,
): AsyncGenerator<Run | FolderRun> {
  let [left, right] = await Promise.all([a.next(), b.next()]);
  while (left.done !== true && right.done !== true) {
    if (newestFirst(left.value, right.value) <= 0) {
      yield left.value;
      left = await a.next();
    } else {
      yield right.value;
      right = await b.next();
    }
  }
  if (left.done !== true) {
    yield left.value;
    yield* a;
  }
  if (right.done !== true) {
    yield right.value;
    yield* b;
  }
}

/** The name of a request's API key; "" if there is none. */
function apiKeyName(context: Context): string {
  return context.get("apiKey") ?? "";
}

/**
 * Resolves the base that a request names, which is never a path.
 *
 * @throws {HTTPException} 422 if the server does not know or allow it.
 */
async function baseOf(
  name: string,
  { models, allowedBases = [] }: RunRoutesOptions,
): Promise<string> {
  if (OWN_MODELS.includes(name)) return name;
  for (const base of allowedBases) {
    if (name === (await exists(base) ? basename(base) : base)) return base;
  }
  try {
    const { dir } = await models.resolve(name);
    if (!await isAdapter(dir)) return dir;
  } catch (error) {
    if (!(error instanceof UnknownModelError)) throw error;
    const known = [...OWN_MODELS, ...allowedBases.map((base) => basename(base))].join(", ");
    throw invalidField("model", `must be a model of the server or one of ${known}`);
  }
  throw invalidField("model", `'${name}' is an adapter, and none can stand on it`);
}
