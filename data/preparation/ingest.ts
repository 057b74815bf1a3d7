/**
 * Takes in the files of an uploaded data set: out of their form, split or read, and audited.
 *
 * @module
 */
import { Busboy } from "@fastify/busboy";
import { createReadStream } from "node:fs";
import { extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { readDataset, SPLIT_FILES, writeDataset } from "../dataset.ts";
import type { Columns } from "../columns.ts";
import type { ProblemType } from "../labels.ts";
import { MEDIA_TYPES, TABLE_EXTENSIONS } from "../table.ts";
import { writeFileAtomically, writeJson } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { audit, type AuditOptions } from "./audit.ts";
import { prepare } from "./prepare.ts";
import type { PrepareSettings } from "./prepare_settings.ts";

/** An uploaded file, which is removed when its content has been taken in. */
export interface IncomingFile {
  file: string;
  /** The `Content-Type` of a form, which holds one file to be split, or three. */
  formType?: string | undefined;
  /** The settings for reading and splitting its tables. */
  settings:
    & Columns
    & Pick<
      PrepareSettings,
      "seed" | "delimiter" | "encoding" | "skipLabels" | "normalizeLabels" | "skipBadRows"
    >;
}

/** An uploaded data set. */
export interface IncomingDataset {
  /** Its name. */
  name: string;
  /** The folder of its files. */
  dir: string;
  /** The type of its labels. */
  problemType: ProblemType;
  /** The file that its files are made from, unless they exist. */
  incoming?: IncomingFile;
  /** The file for its audit. */
  auditFile: string;
}

/** The part of a form that is split. */
const WHOLE = "file";

/** The limits of a form, ample for one of three files. */
const FORM_LIMITS = { fields: 16, fieldSize: 1000, files: 16, headerPairs: 16, parts: 32 };

/**
 * Makes a data set from an upload.
 *
 * @throws {UserError} If a file is bad; the message names it and the line.
 */
export async function ingest(
  { name, dir, problemType, incoming, auditFile }: IncomingDataset,
  options: AuditOptions,
): Promise<void> {
  const notes = incoming === undefined ? [] : await writeSplits(incoming, dir, problemType);
  const report = await audit(dir, { ...options, problemType });
  await writeJson(auditFile, {
    ...report,
    dir: name,
    notes: [...new Set([...notes, ...report.notes])],
    problem_type: problemType,
  });
}

/** Writes the three files of a data set; returns notes for the user on how they were read. */
async function writeSplits(
  { file, formType, settings }: IncomingFile,
  dir: string,
  problemType: ProblemType,
): Promise<string[]> {
  const notes: string[] = [];
  const onNote = (note: string) => void notes.push(note);
  const files = formType === undefined
    ? new Map([[WHOLE, file]])
    : await readForm(file, formType, dir);
  const whole = files.get(WHOLE);
  if (whole !== undefined) {
    await prepare(whole, { settings: { ...settings, problemType }, outDir: dir, onNote });
  } else {
    for (const side of Object.keys(SPLIT_FILES)) {
      if (files.has(side)) continue;
      const rule = `'${side}' must be a file of it, or '${WHOLE}' be the only one`;
      throw new UserError(`Cannot read the form: ${rule}`);
    }
    const { text, label, delimiter, encoding, skipLabels, normalizeLabels = false } = settings;
    const options = { delimiter, encoding, skipLabels, normalizeLabels, onNote };
    const dataset = await readDataset(dir, problemType, { text, label }, options);
    for (const written of files.values()) await Deno.remove(written);
    await writeDataset(dir, dataset);
  }
  if (whole !== undefined && whole !== file) await Deno.remove(whole);
  await Deno.remove(file);
  return notes;
}

/** Writes the files of a form into a folder; returns their paths by their names in the form. */
async function readForm(file: string, formType: string, dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const writing: Promise<void>[] = [];
  try {
    const form = Busboy({ headers: { "content-type": formType }, limits: FORM_LIMITS });
    form.on("file", (part, content, fileName, _encoding, mediaType) => {
      const path = pathOf(part, fileName, mediaType);
      if (path === undefined || files.has(part)) {
        content.resume();
        return;
      }
      files.set(part, join(dir, path));
      const written = writeFileAtomically(join(dir, path), content);
      writing.push(written);
      // Otherwise the form would wait forever to be read.
      written.catch((error) => form.destroy(error));
    });
    await pipeline(createReadStream(file), form);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError("Cannot read the form: it must be multipart/form-data with files");
  } finally {
    await Promise.allSettled(writing);
  }
  await Promise.all(writing);
  return files;
}

/** The path of a form's file in the folder of the data set; `undefined` for files of no use. */
function pathOf(part: string, fileName: string | undefined, mediaType: string): string | undefined {
  const given = extname(fileName ?? "").toLowerCase();
  if (part === WHOLE) {
    const known = new Set(MEDIA_TYPES.values());
    return `whole${known.has(given) ? given : MEDIA_TYPES.get(mediaType) ?? ".csv"}`;
  }
  const split = new Map<string, string>(Object.entries(SPLIT_FILES)).get(part);
  return split?.replace(/\.csv$/, TABLE_EXTENSIONS.includes(given) ? given : ".csv");
}
