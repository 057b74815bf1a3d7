/**
 * `/v1/datasets`: data sets that runs are trained on.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { basename, extname, join } from "node:path";
import { z } from "zod";
import { DatasetExistsError, type DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import {
  EXTENSIONS as SPLIT_EXTENSIONS,
  readDataset,
  SPLIT_FILES,
  writeDataset,
} from "../data/dataset.ts";
import { writeFileAtomically } from "../lib/files.ts";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { prepare } from "../data/preparation/prepare.ts";
import { DELIMITER, ENCODING, NORMALIZE_LABELS } from "../data/preparation/prepare_settings.ts";
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
  notes: z.array(z.string()).describe("How the files were read, and what is odd about the labels"),
}).meta({ id: "Dataset" });

const DatasetList = z.object({ datasets: z.array(Entry) }).meta({ id: "DatasetList" });

const Whole = Entry.extend({
  audit: z.looseObject({}).describe("What 'data audit --json' prints"),
}).meta({ id: "DatasetWithAudit" });

const FLAG = z.enum(["true", "false"]).default("false").transform((flag) => flag === "true");

const FILES = {
  type: "object" as const,
  properties: { file: BINARY, train: BINARY, validation: BINARY, test: BINARY },
  description: "One file, which is split, or the three files of a split",
};

const tags = ["datasets"];
const params = z.object({ name: z.string() });

const create = declareRoute({
  method: "post",
  path: "/v1/datasets",
  operationId: "createDataset",
  scope: "manage",
  tags,
  summary:
    "Send a CSV file, alone or as 'file' of a form, which is split into training, validation and " +
    "test files by text; or, as a form, the three files",
  request: {
    query: z.object({
      name: Name,
      text: z.string().default("text")
        .describe("The column of the texts; by default also one with another usual name"),
      label: z.string().default("label")
        .describe("The column of the labels; by default also one with another usual name"),
      problem_type: z.enum(PROBLEM_TYPES).default("single_label_classification")
        .describe("What the labels are"),
      delimiter: DELIMITER,
      encoding: ENCODING,
      skip_bad_rows: FLAG.describe("Leave bad rows of the one file out and count them"),
      normalize_labels: FLAG.describe(NORMALIZE_LABELS.description!),
      seed: z.coerce.number().int().min(0).max(2 ** 32 - 1).default(11).describe("Of the split"),
    }),
    body: {
      required: true,
      content: {
        // Not schemas of zod, with which a body would be read before its size is known. JSON Lines
        // are taken, too, and not named: clients would send whatever they have under that name.
        "multipart/form-data": { schema: { $ref: "#/components/schemas/DatasetFiles" } },
        "text/csv": { schema: BINARY },
        "text/tab-separated-values": { schema: BINARY },
        "application/octet-stream": { schema: BINARY },
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
  responses: { 200: jsonContent(DatasetList, "The data sets") },
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
  router.openAPIRegistry.registerComponent("schemas", "DatasetFiles", FILES);
  router.openapi(create, async (context) => {
    const { name, problem_type: problemType, seed, ...query } = context.req.valid("query");
    await checkRoom();
    const { raw } = context.req;
    const type = mediaTypeOf(raw);
    const isForm = type === "multipart/form-data";
    const extension = EXTENSIONS.get(type);
    if (!isForm && extension === undefined) {
      throw refuseMediaType(raw, "CSV, TSV, JSON Lines or a form with files");
    }
    const body = decodedBody(raw, maxBytes, "A data set");
    try {
      const entry = await datasets.add(name, problemType, async (dir) => {
        const { text, label, delimiter, encoding, normalize_labels: normalizeLabels } = query;
        const format = { delimiter, encoding, normalizeLabels };
        const notes: string[] = [];
        const onNote = (note: string) => void notes.push(note);
        const split = async (bytes: AsyncIterable<Uint8Array>, extension: string) => {
          const file = join(dir, `raw${extension}`);
          await writeFileAtomically(file, bytes);
          const skipBadRows = query.skip_bad_rows;
          const settings = { text, label, problemType, ...format, skipBadRows, seed };
          await prepare(file, { settings, outDir: dir, onNote, signal: raw.signal });
          await Deno.remove(file);
          return notes;
        };
        if (extension !== undefined) return await split(body, extension);
        const form = await readForm(body, raw.headers);
        const whole = form.get("file");
        if (whole instanceof File) return await split(whole.stream(), extensionOf(whole));
        const files = await writeSplits(form, dir);
        const options = { ...format, onNote };
        const dataset = await readDataset(dir, problemType, { text, label }, options);
        for (const file of files) await Deno.remove(file);
        await writeDataset(dir, dataset);
        return notes;
      });
      context.header("Location", `/v1/datasets/${name}`);
      return context.json(entry, 201);
    } catch (error) {
      if (error instanceof DatasetExistsError) {
        throw new HTTPException(409, { message: error.message });
      }
      if (error instanceof UserError) throw invalidField("body", inTermsOfHttp(error.message));
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

async function readForm(bytes: AsyncIterable<Uint8Array>, headers: Headers): Promise<FormData> {
  try {
    return await new Response(ReadableStream.from(bytes), { headers }).formData();
  } catch (error) {
    if (error instanceof HTTPException) throw error;
    throw new HTTPException(400, { message: "The body must be a form with files" });
  }
}

/** Writes the three files of a form, and says where they stand. */
async function writeSplits(form: FormData, dir: string): Promise<string[]> {
  const files: string[] = [];
  for (const [side, name] of Object.entries(SPLIT_FILES)) {
    const content = form.get(side);
    if (!(content instanceof File)) {
      throw invalidField(side, "must be a file of the form, or 'file' be the only one");
    }
    const given = extname(content.name).toLowerCase();
    const extension = SPLIT_EXTENSIONS.includes(given) ? given : ".csv";
    const file = join(dir, name.replace(/\.csv$/, extension));
    await writeFileAtomically(file, content.stream());
    files.push(file);
  }
  return files;
}

/** How the name of a form's file ends, or what its media type says. */
function extensionOf({ name, type }: File): string {
  const extension = extname(name).toLowerCase();
  const known = new Set(EXTENSIONS.values());
  return known.has(extension) ? extension : EXTENSIONS.get(type) ?? ".csv";
}

/** A message about a file, without where the server has put it, and with parameters for flags. */
function inTermsOfHttp(message: string): string {
  return message
    .replaceAll(/'([^']*\/[^']*)'/g, (_, path: string) => `'${basename(path)}'`)
    .replaceAll(/--([a-z]+(?:-[a-z]+)*)/g, (_, flag: string) => flag.replaceAll("-", "_"));
}
