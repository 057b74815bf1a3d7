/**
 * The data sets that a server has, by name: the bundled sample, and those that were sent to it.
 *
 * @module
 */
import { join } from "node:path";
import type { AuditReport } from "./preparation/audit.ts";
import type { IncomingDataset, IncomingFile } from "./preparation/ingest.ts";
import { SAMPLE_DIR } from "./dataset.ts";
import { checkRegular, exists, removeFolder } from "../lib/files.ts";
import type { ProblemType } from "./labels.ts";

/** The name of the bundled data set. */
export const SAMPLE = "sample";

const AUDIT_FILE = "audit.json";

const DEFAULT_PROBLEM_TYPE = "single_label_classification";

/** The names of folders that are coming or going, and are no data sets. */
const UNFINISHED = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** There is a data set of that name already, or one is coming. */
export class DatasetExistsError extends Error {
  override name = "DatasetExistsError";

  constructor(name: string) {
    super(`There is a data set '${name}' already: delete it, or choose another name`);
  }
}

/** A data set as lists show it. */
export interface DatasetEntry {
  name: string;
  /** The time of its creation; `null` for the bundled one. */
  created_at: string | null;
  problem_type: ProblemType;
  labels: string[];
  /** Rows by file. */
  rows: Record<string, number>;
  /** A sentence on held-out texts that stand in the training file. */
  leakage: string;
  /** Notes for the user on how the files were read, and on their labels. */
  notes: string[];
}

/** The audit of a data set, and the type of its labels. */
interface DatasetAudit extends AuditReport {
  problem_type: ProblemType;
}

/** Makes a data set of files that have come, as `ingest` does. */
export type Ingest = (dataset: IncomingDataset, signal?: AbortSignal) => Promise<void>;

/** Keeps data sets in a folder, each in one of its own. */
export class DatasetLibrary {
  readonly #dir: string;
  readonly #ingest: Ingest;
  /** The names of data sets that are coming, in lower case: some disks do not tell cases apart. */
  readonly #coming = new Set<string>();
  #sampleAudit: Promise<DatasetAudit> | undefined;

  constructor(dir: string, ingest: Ingest) {
    this.#dir = dir;
    this.#ingest = ingest;
  }

  /** Removes the unfinished folders of a process that was killed; no other may use the folder. */
  async removeLeftovers(): Promise<void> {
    if (!await exists(this.#dir)) return;
    for await (const { name } of Deno.readDir(this.#dir)) {
      if (UNFINISHED.test(name)) await removeFolder(join(this.#dir, name));
    }
  }

  /** The folder of a data set, whether it is there or not. */
  dirOf(name: string): string {
    return name === SAMPLE ? SAMPLE_DIR : join(this.#dir, name);
  }

  /** Whether there is a data set of this name, which may be any text. */
  async has(name: string): Promise<boolean> {
    return (await this.names()).includes(name);
  }

  /** The names of all data sets. */
  async names(): Promise<string[]> {
    const names = [SAMPLE];
    if (!await exists(this.#dir)) return names;
    for await (const { name } of Deno.readDir(this.#dir)) {
      if (UNFINISHED.test(name)) continue;
      // An entry that cannot be read, such as a link to itself, is no data set.
      if (await exists(join(this.#dir, name, AUDIT_FILE)).catch(() => false)) names.push(name);
    }
    return names.sort();
  }

  /** The audit of a data set from when it came. */
  async audit(name: string): Promise<DatasetAudit> {
    if (name === SAMPLE) return await this.#auditOfSample();
    return await readAudit(join(this.#dir, name, AUDIT_FILE));
  }

  async #auditOfSample(): Promise<DatasetAudit> {
    const made = this.#sampleAudit ??= this.#makeAuditOfSample();
    made.catch(() => this.#sampleAudit = undefined);
    return await made;
  }

  async #makeAuditOfSample(): Promise<DatasetAudit> {
    const dir = this.#unfinished(SAMPLE);
    try {
      await Deno.mkdir(dir, { recursive: true });
      const auditFile = join(dir, AUDIT_FILE);
      const problemType = DEFAULT_PROBLEM_TYPE;
      await this.#ingest({ name: SAMPLE, dir: SAMPLE_DIR, problemType, auditFile });
      return await readAudit(auditFile);
    } finally {
      await removeFolder(dir);
    }
  }

  /** The type of a data set's labels. */
  async problemType(name: string): Promise<ProblemType> {
    return name === SAMPLE ? DEFAULT_PROBLEM_TYPE : (await this.audit(name)).problem_type;
  }

  /** A data set as lists show it. */
  async entry(name: string): Promise<DatasetEntry> {
    const created = name === SAMPLE
      ? undefined
      : (await Deno.stat(join(this.#dir, name, AUDIT_FILE))).mtime;
    return entryOf(name, created?.toISOString() ?? null, await this.audit(name));
  }

  /**
   * Adds a data set. It is there when it is whole and good, or not at all.
   *
   * @param problemType The type of its labels.
   * @param write Writes the upload into a folder, and describes it.
   * @param signal Aborted when nobody waits for it any more.
   * @throws {UserError} If a file is bad; the message names it and the line.
   * @throws {DatasetExistsError} If the name is taken.
   */
  async add(
    name: string,
    problemType: ProblemType,
    write: (dir: string) => Promise<IncomingFile>,
    signal?: AbortSignal,
  ): Promise<DatasetEntry> {
    const folded = name.toLowerCase();
    if (this.#coming.has(folded)) throw new DatasetExistsError(name);
    this.#coming.add(folded);
    try {
      await this.keep(name, problemType, write, signal);
      return await this.entry(name);
    } finally {
      this.#coming.delete(folded);
    }
  }

  /** Makes a data set of this folder, as {@link add} does. */
  protected async keep(
    name: string,
    problemType: ProblemType,
    write: (dir: string) => Promise<IncomingFile>,
    signal?: AbortSignal,
  ): Promise<void> {
    const dir = this.#unfinished(name);
    try {
      const taken = (await this.names()).find((other) =>
        other.toLowerCase() === name.toLowerCase()
      );
      if (taken !== undefined) throw new DatasetExistsError(taken);
      await this.#write(dir, name, problemType, write, signal);
      await Deno.rename(dir, this.dirOf(name));
    } finally {
      await removeFolder(dir);
    }
  }

  /**
   * Gives the entry that {@link add} would give, and the audit; keeps nothing.
   *
   * @throws {UserError} If a file is bad; the message names it and the line.
   */
  async preview(
    name: string,
    problemType: ProblemType,
    write: (dir: string) => Promise<IncomingFile>,
    signal?: AbortSignal,
  ): Promise<DatasetEntry & { audit: AuditReport }> {
    const dir = this.#unfinished(name);
    try {
      const audit = await readAudit(await this.#write(dir, name, problemType, write, signal));
      return { ...entryOf(name, null, audit), audit };
    } finally {
      await removeFolder(dir);
    }
  }

  /** Gives some work a folder, which is removed afterwards. */
  async withFolder<Result>(work: (dir: string) => Promise<Result>): Promise<Result> {
    const dir = this.#unfinished("work");
    try {
      await Deno.mkdir(dir, { recursive: true });
      return await work(dir);
    } finally {
      await removeFolder(dir);
    }
  }

  /** Writes a data set into a folder and audits it; returns the audit's file. */
  async #write(
    dir: string,
    name: string,
    problemType: ProblemType,
    write: (dir: string) => Promise<IncomingFile>,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    await Deno.mkdir(dir, { recursive: true });
    const incoming = await write(dir);
    const auditFile = join(dir, AUDIT_FILE);
    await this.#ingest({ name, dir, problemType, incoming, auditFile }, signal);
    return auditFile;
  }

  /** Removes a data set. */
  async delete(name: string): Promise<void> {
    // In one step, so that half of a data set is never there.
    const leaving = this.#unfinished(name);
    await Deno.rename(this.dirOf(name), leaving);
    await Deno.remove(leaving, { recursive: true });
  }

  #unfinished(name: string): string {
    return join(this.#dir, `.${name}.${crypto.randomUUID()}`);
  }
}

function entryOf(
  name: string,
  created_at: string | null,
  { labels, files, leakage, problem_type, notes = [] }: DatasetAudit,
): DatasetEntry {
  const rows = Object.fromEntries(Object.entries(files).map(([side, { rows }]) => [side, rows]));
  return { name, created_at, problem_type, labels, rows, leakage, notes };
}

async function readAudit(file: string): Promise<DatasetAudit> {
  await checkRegular(file);
  // Audits from when there was only one type do not name it.
  return { problem_type: DEFAULT_PROBLEM_TYPE, ...JSON.parse(await Deno.readTextFile(file)) };
}
