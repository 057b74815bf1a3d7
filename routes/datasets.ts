/**
 * `/v1/datasets`: the data sets that runs are trained on.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { SIDES } from "../data/preparation/split.ts";
import { openTable, type TableFormat } from "../data/table.ts";
import { DEFAULT_COLUMNS, findColumn } from "../data/columns.ts";
import { BadRows } from "../data/bad_rows.ts";
import type { Context } from "hono";
import { basename, join } from "node:path";
import { z } from "zod";
import { DatasetExistsError, type DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import { EXTENSIONS, type IncomingFile } from "../data/preparation/ingest.ts";
import { isDiskFull, writeFileAtomically } from "../lib/files.ts";
import { PROBLEM_TYPES } from "../data/labels.ts";
import {
  DELIMITER,
  ENCODING,
  NORMALIZE_LABELS,
  SKIP_LABELS,
} from "../data/preparation/prepare_settings.ts";
import { UserError } from "../lib/user_error.ts";
import { isOver, type RunStore } from "../orchestration/run_store.ts";
import { decodedBody, mediaTypeOf, refuseMediaType } from "./body.ts";
import { invalidField } from "./errors.ts";
import {
  BINARY,
  bodyReceived,
  createRouter,
  declareRoute,
  errorAnswers,
  jsonContent,
} from "./router.ts";
import { Name } from "./schemas.ts";
import type { DiskBudget, ReservedRoom } from "./storage.ts";

const Entry = z.object({
  name: z.string(),
  created_at: z.string().nullable(),
  problem_type: z.enum(PROBLEM_TYPES),
  labels: z.array(z.string()),
  rows: z.record(z.string(), z.int()),
  leakage: z.string(),
  notes: z.array(z.string()).describe("How the files were read, and what is odd about the labels"),
}).meta({ id: "Dataset" });

const DatasetList = z.object({
  datasets: z.array(Entry),
  next: z.string().nullable().describe("What 'after' is for the next page; null at the end"),
}).meta({ id: "DatasetList" });

const Lengths = z.object({
  mean: z.number(),
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
  histogram: z.object({ width: z.int(), counts: z.array(z.int()) }).meta({ id: "Histogram" }),
}).meta({ id: "Lengths" });

const FileAudit = z.object({
  file: z.string(),
  rows: z.int(),
  distinct_texts: z.int(),
  duplicate_rows: z.int(),
  near_duplicate_texts: z.int(),
  conflicting_texts: z.int(),
  non_text_rows: z.int(),
  classes: z.record(z.string(), z.int()),
  words: Lengths,
  word_pieces: Lengths,
  truncated_rows: z.int(),
}).meta({ id: "FileAudit" });

const BaselineFigures = z.object({
  n: z.int(),
  accuracy: z.number().nullable(),
  f1_macro: z.number().nullable(),
}).meta({ id: "BaselineFigures" });

const Audit = z.object({
  labels: z.array(z.string()),
  label_names: z.array(z.string()),
  max_length: z.int(),
  files: z.object({
    train: FileAudit.optional(),
    validation: FileAudit.optional(),
    test: FileAudit.optional(),
  }).meta({ id: "AuditedFiles" }),
  leakage: z.string(),
  overlaps: z.array(
    z.object({
      of: z.enum(SIDES),
      in: z.enum(SIDES),
      rows: z.int(),
      seen: z.int(),
      same_label: z.int(),
      near: z.int(),
    }).meta({ id: "Overlap" }),
  ),
  labels_not_in_training: z.array(z.string()),
  conflict_examples: z.array(
    z.object({ text: z.string(), labels: z.array(z.string()) }).meta({ id: "ConflictExample" }),
  ),
  baselines: z.object({
    measured_on: z.enum(SIDES),
    trained_on: z.int(),
    results: z.array(
      z.object({ name: z.string(), all: BaselineFigures, unseen: BaselineFigures }).meta({
        id: "Baseline",
      }),
    ),
    left_out: z.array(z.string()),
  }).meta({ id: "Baselines" }),
}).meta({ id: "AuditReport" });

const Whole = Entry.extend({ audit: Audit }).meta({ id: "DatasetWithAudit" });

const FLAG = z.enum(["true", "false"]).default("false").transform((flag) => flag === "true");

const TableColumns = z.object({
  columns: z.array(z.string()),
  text: z.string().nullable().describe("The column of the texts, where it can be told"),
  label: z.string().nullable().describe("The column of the labels, where it can be told"),
  rows: z.array(z.array(z.string())).describe("The first rows, a field for each column"),
}).meta({ id: "TableColumns" });

const MAX_PAGE = 1000;
const PREVIEW_ROWS = 5;
const MAX_HEAD_BYTES = 1_000_000;

const FileQuery = z.object({
  text: z.string().default("text")
    .describe("The column of the texts; by default also one with another usual name"),
  label: z.string().default("label")
    .describe("The column of the labels; by default also one with another usual name"),
  problem_type: z.enum(PROBLEM_TYPES).default("single_label_classification")
    .describe("The kind of the labels"),
  delimiter: DELIMITER,
  encoding: ENCODING,
  skip_bad_rows: FLAG.describe("Leave bad rows of the one file out and count them"),
  skip_labels: SKIP_LABELS,
  normalize_labels: FLAG.describe(NORMALIZE_LABELS.description!),
  seed: z.coerce.number().int().min(0).max(2 ** 32 - 1).default(11).describe(
    "The seed of the split",
  ),
});

const FILES = {
  type: "object" as const,
  properties: { file: BINARY, train: BINARY, validation: BINARY, test: BINARY },
  description: "One file, which is split, or the three files of a split",
};

// These are not schemas of zod, with which a body would be read before its size is known. JSON
// Lines are accepted too, but not listed: clients would send anything under that name.
const TABLE_BODY = {
  "text/csv": { schema: BINARY },
  "text/tab-separated-values": { schema: BINARY },
  "application/octet-stream": { schema: BINARY },
};
const FILES_BODY = {
  "multipart/form-data": { schema: { $ref: "#/components/schemas/DatasetFiles" } },
  ...TABLE_BODY,
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
    query: FileQuery.extend({ name: Name }),
    body: { required: true, content: FILES_BODY },
  },
  responses: {
    201: jsonContent(Entry, "The data set is there"),
    ...errorAnswers(400, 409, 413, 415, 422, 507),
  },
});

const preview = declareRoute({
  method: "post",
  path: "/v1/datasets/audit",
  operationId: "auditFile",
  scope: "manage",
  tags,
  summary: "Split and audit a data set without keeping it",
  request: { query: FileQuery, body: { required: true, content: FILES_BODY } },
  responses: {
    200: jsonContent(Whole, "The data set that it would be"),
    ...errorAnswers(400, 413, 415, 422, 507),
  },
});

const columns = declareRoute({
  method: "post",
  path: "/v1/datasets/columns",
  operationId: "guessColumns",
  scope: "manage",
  tags,
  summary: "Name the columns of a table, whose beginning is enough; nothing is kept",
  request: {
    query: z.object({ delimiter: DELIMITER, encoding: ENCODING }),
    body: { required: true, content: TABLE_BODY },
  },
  responses: {
    200: jsonContent(TableColumns, "The columns, and what they seem to be"),
    ...errorAnswers(400, 413, 415, 422),
  },
});

const list = declareRoute({
  method: "get",
  path: "/v1/datasets",
  operationId: "listDatasets",
  scope: "manage",
  tags,
  summary: "Data sets by name",
  request: {
    query: z.object({
      limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
      after: z.string().optional().describe("The name of the last data set of the page before"),
    }),
  },
  responses: { 200: jsonContent(DatasetList, "A page of data sets"), ...errorAnswers(422) },
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

/** The time within which an upload must arrive. */
const UPLOAD_TIMEOUT_MS = 3600_000;

/** Options of {@link datasetRoutes}. */
export interface DatasetRoutesOptions {
  datasets: DatasetLibrary;
  store: RunStore;
  /** The most bytes of a data set. */
  maxBytes: number;
  budget: DiskBudget;
}

/** The routes. */
export function datasetRoutes(
  { datasets, store, maxBytes, budget }: DatasetRoutesOptions,
): OpenAPIHono {
  const find = async (name: string): Promise<string> => {
    if (await datasets.has(name)) return name;
    throw new HTTPException(404, { message: `There is no data set '${name}'` });
  };
  /**
   * Makes a function that writes a request's body into a folder and describes it.
   *
   * @param room The reserved disk space that it uses.
   */
  const receive = (
    context: Context,
    query: Omit<z.infer<typeof FileQuery>, "problem_type">,
    room: ReservedRoom,
  ): (dir: string) => Promise<IncomingFile> => {
    const { raw: request } = context.req;
    const type = mediaTypeOf(request);
    const isForm = type === "multipart/form-data";
    const extension = isForm ? ".form" : EXTENSIONS.get(type);
    if (extension === undefined) {
      throw refuseMediaType(request, "CSV, TSV, JSON Lines or a form with files");
    }
    const body = room.count(decodedBody(request, maxBytes, "A data set", UPLOAD_TIMEOUT_MS));
    return async (dir) => {
      const file = join(dir, `raw${extension}`);
      await writeFileAtomically(file, body);
      bodyReceived(context);
      return {
        file,
        formType: isForm ? request.headers.get("Content-Type")! : undefined,
        settings: {
          text: query.text,
          label: query.label,
          delimiter: query.delimiter,
          encoding: query.encoding,
          skipLabels: query.skip_labels,
          normalizeLabels: query.normalize_labels,
          skipBadRows: query.skip_bad_rows,
          seed: query.seed,
        },
      };
    };
  };
  const reserveRoom = ({ req }: Context) =>
    budget.reserve(Math.min(Number(req.header("Content-Length") ?? 0), maxBytes));
  const router = createRouter();
  router.openAPIRegistry.registerComponent("schemas", "DatasetFiles", FILES);
  router.openapi(create, async (context) => {
    const { name, problem_type: problemType, ...query } = context.req.valid("query");
    using room = await reserveRoom(context);
    const write = receive(context, query, room);
    const entry = await datasets.add(name, problemType, write, context.req.raw.signal)
      .catch(refuseBadFile);
    context.header("Location", `/v1/datasets/${name}`);
    return context.json(entry, 201);
  });
  router.openapi(preview, async (context) => {
    const { problem_type: problemType, ...query } = context.req.valid("query");
    using room = await reserveRoom(context);
    const write = receive(context, query, room);
    const { signal } = context.req.raw;
    const { audit, ...entry } = await datasets.preview("preview", problemType, write, signal)
      .catch(refuseBadFile);
    return context.json({ ...entry, audit }, 200);
  });
  router.openapi(columns, async (context) => {
    const { raw } = context.req;
    const extension = EXTENSIONS.get(mediaTypeOf(raw));
    if (extension === undefined) throw refuseMediaType(raw, "CSV, TSV or JSON Lines");
    const found = await datasets.withFolder(async (dir) => {
      const file = join(dir, `raw${extension}`);
      await writeFileAtomically(file, decodedBody(raw, MAX_HEAD_BYTES, "The beginning"));
      return await columnsOf(file, context.req.valid("query"));
    }).catch(refuseBadFile);
    return context.json(found, 200);
  });
  router.openapi(list, async (context) => {
    const { limit, after } = context.req.valid("query");
    const names = (await datasets.names()).filter((name) => after === undefined || name > after);
    const page = names.slice(0, limit);
    const entries = page.map((name) =>
      datasets.entry(name).catch((error) => {
        console.error(`Left the data set '${name}' out of the list: ${error.message}`);
        return [];
      })
    );
    return context.json({
      datasets: (await Promise.all(entries)).flat(),
      next: names.length > limit ? page.at(-1)! : null,
    }, 200);
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

/** Reports a fault of a file, in terms of the request. */
function refuseBadFile(error: unknown): never {
  if (error instanceof DatasetExistsError) throw new HTTPException(409, { message: error.message });
  if (error instanceof UserError && !isDiskFull(error)) {
    throw invalidField("body", inTermsOfHttp(error.message));
  }
  throw error;
}

/** The columns of a table, their probable meanings, and its first rows. */
async function columnsOf(
  file: string,
  format: TableFormat,
): Promise<z.infer<typeof TableColumns>> {
  await using table = await openTable(file, format);
  const guess = (kind: "text" | "label") => {
    try {
      return findColumn(file, table.columns, kind, DEFAULT_COLUMNS[kind]);
    } catch (error) {
      if (error instanceof UserError) return null;
      throw error;
    }
  };
  const rows: string[][] = [];
  for await (const { values } of table.rows(table.columns, { badRows: new BadRows(file) })) {
    rows.push(table.columns.map((column) => values[column] ?? ""));
    if (rows.length === PREVIEW_ROWS) break;
  }
  return { columns: [...table.columns], text: guess("text"), label: guess("label"), rows };
}

/** A message about a file, without its path on the server, and with parameters instead of flags. */
function inTermsOfHttp(message: string): string {
  return message
    .replaceAll(/'([^']*\/[^']*)'/g, (_, path: string) => `'${basename(path)}'`)
    .replaceAll(/--([a-z]+(?:-[a-z]+)*)/g, (_, flag: string) => flag.replaceAll("-", "_"));
}
