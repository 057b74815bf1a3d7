/**
 * `/v1/datasets`: the data sets that runs are trained on.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { basename, join } from "node:path";
import { z } from "zod";
import { BadRows } from "../data/bad_rows.ts";
import { DEFAULT_COLUMNS, findColumn } from "../data/columns.ts";
import { DatasetExistsError, type DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import type { IncomingFile } from "../data/preparation/ingest.ts";
import { MEDIA_TYPES } from "../data/table.ts";
import { DELIMITER, ENCODING } from "../data/table_settings.ts";
import { openTable, type TableFormat } from "../data/table.ts";
import { isDiskFull, writeFileAtomically } from "../lib/files.ts";
import { messageOf } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { isOver, type RunStore } from "../orchestration/run_store.ts";
import { decodedBody, mediaTypeOf, refuseMediaType } from "./body.ts";
import {
  DatasetEntry,
  DatasetList,
  FileQuery,
  TableColumns,
  WholeDataset,
} from "./dataset_schemas.ts";
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

const MAX_PAGE = 1000;
const PREVIEW_ROWS = 5;
const MAX_HEAD_BYTES = 1_000_000;

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
    201: jsonContent(DatasetEntry, "The data set is there"),
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
    200: jsonContent(WholeDataset, "The data set that it would be"),
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
  responses: { 200: jsonContent(WholeDataset, "The data set"), ...errorAnswers(404) },
});

const remove = declareRoute({
  method: "delete",
  path: "/v1/datasets/{name}",
  operationId: "deleteDataset",
  scope: "manage",
  tags,
  summary: "Remove a data set that no run or evaluation uses",
  request: { params },
  responses: { 204: { description: "Removed" }, ...errorAnswers(404, 409) },
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
export function datasetRoutes(options: DatasetRoutesOptions): OpenAPIHono {
  const { datasets } = options;
  const router = createRouter();
  router.openAPIRegistry.registerComponent("schemas", "DatasetFiles", FILES);
  router.openapi(create, async (context) => {
    const { name, problem_type: problemType, ...query } = context.req.valid("query");
    using room = await reserveRoom(context, options);
    const write = receive(context, query, room, options.maxBytes);
    const entry = await datasets.add(name, problemType, write, context.req.raw.signal)
      .catch(refuseBadFile);
    context.header("Location", `/v1/datasets/${name}`);
    return context.json(describedOverHttp(entry), 201);
  });
  router.openapi(preview, async (context) => {
    const { problem_type: problemType, ...query } = context.req.valid("query");
    using room = await reserveRoom(context, options);
    const write = receive(context, query, room, options.maxBytes);
    const { signal } = context.req.raw;
    const { audit, ...entry } = await datasets.preview("preview", problemType, write, signal)
      .catch(refuseBadFile);
    return context.json({ ...describedOverHttp(entry), audit }, 200);
  });
  router.openapi(columns, async (context) => {
    const { raw } = context.req;
    const extension = extensionOf(raw, "CSV, TSV or JSON Lines");
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
    const entries = await Promise.all(page.map((name) => readableEntry(datasets, name)));
    const next = names.length > limit ? page.at(-1)! : null;
    return context.json({ datasets: entries.flat(), next }, 200);
  });
  router.openapi(show, async (context) => {
    const { name } = context.req.valid("param");
    await checkThere(datasets, name);
    const audit = { ...await datasets.audit(name), dir: name };
    return context.json({ ...describedOverHttp(await datasets.entry(name)), audit }, 200);
  });
  router.openapi(remove, async (context) => {
    const { name } = context.req.valid("param");
    await checkThere(datasets, name);
    await checkUnused(options.store, name);
    await datasets.delete(name);
    return context.body(null, 204);
  });
  return router;
}

/** @throws {HTTPException} 404 if there is no such data set. */
async function checkThere(datasets: DatasetLibrary, name: string): Promise<void> {
  if (await datasets.has(name)) return;
  throw new HTTPException(404, { message: `There is no data set '${name}'` });
}

/** @throws {HTTPException} 409 if a run or evaluation needs the data set. */
async function checkUnused(store: RunStore, name: string): Promise<void> {
  if (name === SAMPLE) throw new HTTPException(409, { message: "The sample stays" });
  const jobs = { Run: await store.list(), Evaluation: await store.listEvaluations() };
  for (const [kind, all] of Object.entries(jobs)) {
    const user = all.find((job) => job.dataset === name && !isOver(job));
    if (user === undefined) continue;
    const message = `${kind} '${user.id}' needs the data set '${name}'`;
    throw new HTTPException(409, { message });
  }
}

/** A data set for a list, which a damaged one does not stop: it is reported and left out. */
async function readableEntry(
  datasets: DatasetLibrary,
  name: string,
): Promise<z.infer<typeof DatasetEntry>[]> {
  try {
    return [describedOverHttp(await datasets.entry(name))];
  } catch (error) {
    console.error(`Left the data set '${name}' out of the list: ${messageOf(error)}`);
    return [];
  }
}

/** Reserves room on the disk for a body. */
function reserveRoom(
  { req }: Context,
  { budget, maxBytes }: DatasetRoutesOptions,
): Promise<ReservedRoom> {
  return budget.reserve(Math.min(Number(req.header("Content-Length") ?? 0), maxBytes));
}

/**
 * The extension of a file with the body of a request.
 *
 * @param known The types that are taken, in words.
 * @throws {HTTPException} 415 if its media type is another.
 */
function extensionOf(request: Request, known: string): string {
  const extension = MEDIA_TYPES.get(mediaTypeOf(request));
  if (extension === undefined) throw refuseMediaType(request, known);
  return extension;
}

/** The parameters of a request that tell how its files are read. */
type FileParameters = Omit<z.infer<typeof FileQuery>, "problem_type">;

/**
 * Makes a function that writes a request's body into a folder and describes it.
 *
 * @param room The reserved disk space that it uses.
 */
function receive(
  context: Context,
  query: FileParameters,
  room: ReservedRoom,
  maxBytes: number,
): (dir: string) => Promise<IncomingFile> {
  const { raw: request } = context.req;
  const isForm = mediaTypeOf(request) === "multipart/form-data";
  const extension = isForm
    ? ".form"
    : extensionOf(request, "CSV, TSV, JSON Lines or a form with files");
  const body = room.count(decodedBody(request, maxBytes, "A data set", UPLOAD_TIMEOUT_MS));
  return async (dir) => {
    const file = join(dir, `raw${extension}`);
    await writeFileAtomically(file, body);
    bodyReceived(context);
    const formType = isForm ? request.headers.get("Content-Type")! : undefined;
    return { file, formType, settings: readingOf(query) };
  };
}

/** How files are read, from the parameters of a request. */
function readingOf(query: FileParameters): IncomingFile["settings"] {
  return {
    text: query.text,
    label: query.label,
    delimiter: query.delimiter,
    encoding: query.encoding,
    skipLabels: query.skip_labels,
    normalizeLabels: query.normalize_labels,
    skipBadRows: query.skip_bad_rows,
    seed: query.seed,
  };
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
  const pathless = message
    .replaceAll(/'([^']*\/[^']*)'/g, (_, path: string) => `'${basename(path)}'`);
  return withParameters(pathless);
}

/** A message in which parameters stand for the flags of a command. */
function withParameters(message: string): string {
  return message.replaceAll(
    /--([a-z]+(?:-[a-z]+)*)/g,
    (_, flag: string) => flag.replaceAll("-", "_"),
  );
}

/** A data set whose notes speak of parameters. */
function describedOverHttp<Entry extends z.infer<typeof DatasetEntry>>(entry: Entry): Entry {
  return { ...entry, notes: entry.notes.map(withParameters) };
}
