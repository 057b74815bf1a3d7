/**
 * `/v1/datasets`: data sets that runs are trained on.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { basename, join } from "node:path";
import { z } from "zod";
import { DatasetExistsError, type DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import { SPLIT_FILES } from "../data/dataset.ts";
import { writeFileAtomically } from "../lib/files.ts";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { prepare } from "../data/preparation/prepare.ts";
import { PrepareSettings } from "../data/preparation/prepare_settings.ts";
import { UserError } from "../lib/user_error.ts";
import { isOver, type RunStore } from "../orchestration/run_store.ts";
import { decodedBody, mediaTypeOf, refuseMediaType } from "./body.ts";
import { invalidField } from "./errors.ts";
import { BINARY, createRouter, declareRoute, errorAnswers, jsonContent } from "./router.ts";
import { Name } from "./runs.ts";

const Entry = z.object({
  name: z.string(),
  created_at: z.string().nullable(),
  problem_type: z.enum(PROBLEM_TYPES),
  labels: z.array(z.string()),
  rows: z.record(z.string(), z.int()),
  leakage: z.string(),
}).meta({ id: "Dataset" });

const Whole = Entry.extend({
  audit: z.looseObject({}).describe("What 'data audit --json' prints"),
}).meta({ id: "DatasetWithAudit" });

const tags = ["datasets"];
const params = z.object({ name: z.string() });

const create = declareRoute({
  method: "post",
  path: "/v1/datasets",
  operationId: "createDataset",
  scope: "manage",
  tags,
  summary:
    "Send a CSV file, which is split into training, validation and test files by text; or, " +
    "as a form, the three files",
  request: {
    query: z.object({
      name: Name,
      text: z.string().default("text").describe("The column of the texts"),
      label: z.string().default("label").describe("The column of the labels"),
      problem_type: z.enum(PROBLEM_TYPES).default("single_label_classification")
        .describe("What the labels are; a file that is to be split has one class a text"),
      seed: z.coerce.number().int().min(0).max(2 ** 32 - 1).default(11).describe("Of the split"),
    }),
    body: {
      required: true,
      content: {
        // Not schemas of zod, with which a body would be read before its size is known.
        "text/csv": { schema: BINARY },
        "text/tab-separated-values": { schema: BINARY },
        "application/jsonl": { schema: BINARY },
        "multipart/form-data": {
          schema: {
            type: "object" as const,
            properties: { train: BINARY, validation: BINARY, test: BINARY },
            required: ["train", "validation", "test"],
          },
        },
      },
    },
  },
  responses: {
    201: jsonContent(Entry, "The data set is there"),
    ...errorAnswers(400, 409, 413, 415, 422, 507),
  },
});

const list = declareRoute({
  method: "get",
  path: "/v1/datasets",
  operationId: "listDatasets",
  scope: "manage",
  tags,
  summary: "All data sets",
  responses: { 200: jsonContent(z.object({ datasets: z.array(Entry) }), "The data sets") },
});

const show = declareRoute({
  method: "get",
  path: "/v1/datasets/{name}",
  operationId: "getDataset",
  scope: "manage",
  tags,
  summary: "A data set with its audit",
  request: { params },
  responses: { 200: jsonContent(Whole, "The data set"), ...errorAnswers(404) },
});

const remove = declareRoute({
  method: "delete",
  path: "/v1/datasets/{name}",
  operationId: "deleteDataset",
  scope: "manage",
  tags,
  summary: "Remove a data set that no run or evaluation needs any more",
  request: { params },
  responses: { 204: { description: "It is gone" }, ...errorAnswers(404, 409) },
});

/** What a raw file is called by its media type. */
const EXTENSIONS = new Map([
  ["text/csv", ".csv"],
  ["application/csv", ".csv"],
  // A browser's name for it where Excel is installed.
  ["application/vnd.ms-excel", ".csv"],
  // What programs send that were told nothing, `curl --data-binary` the last.
  ["", ".csv"],
  ["text/plain", ".csv"],
  ["application/octet-stream", ".csv"],
  ["application/x-www-form-urlencoded", ".csv"],
  ["text/tab-separated-values", ".tsv"],
  ["application/jsonl", ".jsonl"],
  ["application/x-ndjson", ".jsonl"],
]);

/** What the routes need. */
export interface DatasetRoutesOptions {
  datasets: DatasetLibrary;
  store: RunStore;
  /** The most bytes of a data set. */
  maxBytes: number;
  /** Throws where there is no room on the disk. */
  checkRoom: () => Promise<void>;
}

/** The routes. */
export function datasetRoutes(
  { datasets, store, maxBytes, checkRoom }: DatasetRoutesOptions,
): OpenAPIHono {
  const find = async (name: string): Promise<string> => {
    if (await datasets.has(name)) return name;
    throw new HTTPException(404, { message: `There is no data set '${name}'` });
  };
  const router = createRouter();
  router.openapi(create, async (context) => {
    const { name, text, label, problem_type: problemType, seed } = context.req.valid("query");
    await checkRoom();
    const { raw } = context.req;
    const type = mediaTypeOf(raw);
    const isForm = type === "multipart/form-data";
    const extension = EXTENSIONS.get(type);
    if (!isForm && extension === undefined) {
      throw refuseMediaType(raw, "CSV, TSV, JSON Lines or a form with three files");
    }
    const body = decodedBody(raw, maxBytes, "A data set");
    if (!isForm && problemType !== "single_label_classification") {
      throw invalidField("problem_type", "one file can be split by classes alone; send three");
    }
    try {
      const entry = await datasets.add(name, problemType, async (dir) => {
        if (isForm) return await writeForm(body, raw.headers, dir);
        const file = join(dir, `raw${extension}`);
        await writeFileAtomically(file, body);
        const settings = PrepareSettings.parse({ text, label, seed });
        await prepare(file, { settings, outDir: dir, signal: raw.signal });
        await Deno.remove(file);
      });
      context.header("Location", `/v1/datasets/${name}`);
      return context.json(entry, 201);
    } catch (error) {
      if (error instanceof DatasetExistsError) {
        throw new HTTPException(409, { message: error.message });
      }
      if (error instanceof UserError) throw invalidField("body", withoutFolders(error.message));
      throw error;
    }
  });
  router.openapi(list, async (context) => {
    const names = await datasets.names();
    return context.json(
      { datasets: await Promise.all(names.map((it) => datasets.entry(it))) },
      200,
    );
  });
  router.openapi(show, async (context) => {
    const name = await find(context.req.valid("param").name);
    const audit = { ...await datasets.audit(name), dir: name };
    return context.json({ ...await datasets.entry(name), audit }, 200);
  });
  router.openapi(remove, async (context) => {
    const name = await find(context.req.valid("param").name);
    if (name === SAMPLE) throw new HTTPException(409, { message: "The sample stays" });
    const jobs = { Run: await store.list(), Evaluation: await store.listEvaluations() };
    for (const [kind, all] of Object.entries(jobs)) {
      const user = all.find((job) => job.dataset === name && !isOver(job));
      if (user === undefined) continue;
      const message = `${kind} '${user.id}' needs the data set '${name}'`;
      throw new HTTPException(409, { message });
    }
    await datasets.delete(name);
    return context.body(null, 204);
  });
  return router;
}

/** Writes the three files of a form. */
async function writeForm(
  bytes: AsyncIterable<Uint8Array>,
  headers: Headers,
  dir: string,
): Promise<void> {
  const form = await new Response(ReadableStream.from(bytes), { headers }).formData()
    .catch((error) => {
      if (error instanceof HTTPException) throw error;
      throw new HTTPException(400, { message: "The body must be a form with files" });
    });
  for (const [side, file] of Object.entries(SPLIT_FILES)) {
    const content = form.get(side);
    if (!(content instanceof File)) throw invalidField(side, "must be a file of the form");
    await writeFileAtomically(join(dir, file), content.stream());
  }
}

/** A message about a file, without where the server has put it. */
function withoutFolders(message: string): string {
  return message.replaceAll(/'([^']*\/[^']*)'/g, (_, path: string) => `'${basename(path)}'`);
}
