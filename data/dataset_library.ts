/**
 * The data sets that a server has, by name: the bundled sample, and those that were sent to it.
 *
 * @module
 */
import { join } from "node:path";
import { audit, type AuditOptions, type AuditReport } from "./audit.ts";
import { readDataset, SAMPLE_DIR } from "./dataset.ts";
import { exists, writeJson } from "./files.ts";

/** The name of the bundled data set. */
export const SAMPLE = "sample";

const AUDIT_FILE = "audit.json";

/** A data set as lists show it. */
export interface DatasetEntry {
  name: string;
  /** Of the bundled one there is none. */
  created_at: string | null;
  labels: string[];
  /** Rows by file. */
  rows: Record<string, number>;
  /** Whether held-out texts stand in the training file. */
  leakage: string;
}

/** Keeps data sets in a folder, each in one of its own. */
export class DatasetLibrary {
  readonly #dir: string;
  readonly #auditOptions: AuditOptions;

  constructor(dir: string, auditOptions: AuditOptions) {
    this.#dir = dir;
    this.#auditOptions = auditOptions;
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
      if (await exists(join(this.#dir, name, AUDIT_FILE))) names.push(name);
    }
    return names.sort();
  }

  /** What the audit found when the data set came. */
  async audit(name: string): Promise<AuditReport> {
    if (name === SAMPLE) return await audit(SAMPLE_DIR, this.#auditOptions);
    return JSON.parse(await Deno.readTextFile(join(this.#dir, name, AUDIT_FILE)));
  }

  /** A data set in short. */
  async entry(name: string): Promise<DatasetEntry> {
    const { labels, files, leakage } = await this.audit(name);
    const rows = Object.fromEntries(
      Object.entries(files).map(([side, { rows }]) => [side, rows]),
    );
    const created = name === SAMPLE
      ? undefined
      : (await Deno.stat(join(this.#dir, name, AUDIT_FILE))).mtime;
    return { name, created_at: created?.toISOString() ?? null, labels, rows, leakage };
  }

  /**
   * Adds a data set, which is there when it is whole and good, or not at all.
   *
   * @param write Writes its files into a folder.
   * @throws {UserError} If a file is bad; the message names it and the line.
   */
  async add(name: string, write: (dir: string) => Promise<void>): Promise<DatasetEntry> {
    const partial = join(this.#dir, `.${name}.${crypto.randomUUID()}`);
    await Deno.mkdir(partial, { recursive: true });
    try {
      await write(partial);
      await readDataset(partial);
      const report = await audit(partial, this.#auditOptions);
      await writeJson(join(partial, AUDIT_FILE), { ...report, dir: name });
      await Deno.rename(partial, this.dirOf(name));
    } finally {
      if (await exists(partial)) await Deno.remove(partial, { recursive: true });
    }
    return await this.entry(name);
  }

  /** Removes a data set. */
  async delete(name: string): Promise<void> {
    // In one step, so that half of one is never there.
    const leaving = join(this.#dir, `.${name}.${crypto.randomUUID()}`);
    await Deno.rename(this.dirOf(name), leaving);
    await Deno.remove(leaving, { recursive: true });
  }
}
