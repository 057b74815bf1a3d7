/**
 * The models in the folders of a server: those of its finished runs, and others.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { checkRegular, fileInfo, realPath } from "../lib/files.ts";
import { mapAtOnce } from "../lib/map_at_once.ts";
import { UserError } from "../lib/user_error.ts";
import { readConfig } from "../models/family.ts";
import { baseNameOf } from "../models/formats/adapter.ts";
import { ADAPTER_CONFIG_FILE } from "../models/formats/adapter_files.ts";
import { CONFIG_FILE } from "../models/formats/config.ts";
import { BUNDLED_MODEL } from "../models/own_models.ts";
import { type ModelIdentity, modelIdentity } from "../models/formats/model_folder.ts";
import type { Run, RunStore } from "../orchestration/run_store.ts";
import { type FinishedRun, finishedRuns } from "../training/folder/run_list.ts";

/** The number of folders scanned at the same time, each with a few short waits for the disk. */
export const FOLDERS_AT_ONCE = 32;

/** The folders in which models are looked for. */
export interface ModelFoldersOptions {
  /** The runs, which have names. */
  runs: Pick<RunStore, "get">;
  /** The folder of the runs; the finished ones can be served. */
  runsDir: string;
  /** The folder of further models, which are served under the names of their folders. */
  modelsDir?: string | undefined;
  /**
   * Folders, and names on the hub, that adapters may use as their base, beside those models and the
   * models that come with Graft.
   */
  allowedBases?: readonly string[];
}

/** A model's files in a folder. */
export interface FoundModel extends ModelIdentity {
  name: string;
  dir: string;
  finishedAt: Date;
  /** Whether the model is to take over the requests of its name. */
  promote: boolean;
}

/** The run of a folder. */
type KnownRun = Pick<Run, "name" | "promote">;

/** Finds the models in folders. */
export class ModelFolders {
  readonly #options: ModelFoldersOptions;
  readonly #report: (what: string, error: unknown) => void;
  /** Runs by id, as the store last returned them. */
  readonly #knownRuns = new Map<string, KnownRun>();
  /** The identities of folders, with the time of their files. */
  readonly #identities = new Map<string, { finishedAt: number; identity: ModelIdentity }>();

  /** @param report Called with each error that leaves something out. */
  constructor(options: ModelFoldersOptions, report: (what: string, error: unknown) => void) {
    this.#options = options;
    this.#report = report;
  }

  /** The models in the folders, the oldest first. */
  async find(): Promise<FoundModel[]> {
    const { runsDir, modelsDir } = this.#options;
    const onBad = (path: string, error: unknown) => this.#reportBad(path, error);
    const runs = await finishedRuns(runsDir, onBad);
    await this.#readRuns(runs.map(({ name }) => name));
    const folders = runs.map((run) => ({
      ...run,
      promote: false,
      ...this.#knownRuns.get(run.name),
    }));
    const models = modelsDir === undefined ? [] : await modelFolders(modelsDir, onBad);
    const all = [...folders, ...models.map((it) => ({ ...it, promote: false }))];
    const found = await mapAtOnce(all, FOLDERS_AT_ONCE, async (folder): Promise<FoundModel[]> => {
      try {
        const promote = folder.promote ?? false;
        return [{ ...folder, promote, ...await this.#identityOf(folder) }];
      } catch (error) {
        onBad(folder.dir, error);
        return [];
      }
    });
    return found.flat().sort((a, b) => a.finishedAt.getTime() - b.finishedAt.getTime());
  }

  async #identityOf(
    { dir, finishedAt }: Pick<FoundModel, "dir" | "finishedAt">,
  ): Promise<ModelIdentity> {
    const known = this.#identities.get(dir);
    if (known?.finishedAt === finishedAt.getTime()) return known.identity;
    const identity = await modelIdentity(dir);
    if (identity.files.includes(ADAPTER_CONFIG_FILE)) await this.#checkBase(dir);
    this.#identities.set(dir, { finishedAt: finishedAt.getTime(), identity });
    return identity;
  }

  /**
   * Checks that an adapter's base is one that this server may read.
   *
   * @throws {UserError} If it is not: an adapter's description may come from anyone.
   */
  async #checkBase(dir: string): Promise<void> {
    const base = await baseNameOf(dir);
    const { allowedBases = [], runsDir, modelsDir } = this.#options;
    if (base === BUNDLED_MODEL || allowedBases.includes(base)) return;
    const path = await realPath(base);
    if (path !== undefined) {
      const allowed = await Promise.all(allowedBases.map(realPath));
      const own = await Promise.all(
        [runsDir, ...modelsDir === undefined ? [] : [modelsDir]].map(realPath),
      );
      if (allowed.includes(path) || own.includes(dirname(path))) return;
      // A checkpoint of a run is one folder deeper.
      if (own.includes(dirname(dirname(path)))) return;
    }
    throw new UserError(
      `its base '${base}' is no model of this server; start it with --allow-base ${base}`,
    );
  }

  /** Reads the runs of folders, each once: the fields that matter here never change. */
  async #readRuns(ids: readonly string[]): Promise<void> {
    try {
      const unknown = ids.filter((id) => !this.#knownRuns.has(id));
      await mapAtOnce(unknown, FOLDERS_AT_ONCE, async (id) => {
        const { name = id, promote } = await this.#options.runs.get(id) ?? {};
        this.#knownRuns.set(id, { name, promote });
      });
    } catch (error) {
      this.#report("Cannot read the names of runs", error);
    }
  }

  /** Whether a folder's configuration can be read; that of an adapter has been. */
  async isReadable({ dir, files, hasLinks }: Omit<FoundModel, "name">): Promise<boolean> {
    try {
      if (files.includes(CONFIG_FILE) && !files.includes(ADAPTER_CONFIG_FILE)) {
        await readConfig(dir, { hasLinks });
      }
      return true;
    } catch (error) {
      this.#reportBad(dir, error);
      return false;
    }
  }

  #reportBad(path: string, error: unknown): void {
    this.#report(`Left '${path}' out of the models`, error);
  }
}

async function modelFolders(
  dir: string,
  onBad: (path: string, error: unknown) => void,
): Promise<FinishedRun[]> {
  const found: FinishedRun[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    const config = join(dir, name, CONFIG_FILE);
    try {
      const info = await fileInfo(config);
      if (info === undefined) continue;
      await checkRegular(config);
      found.push({ name, dir: join(dir, name), finishedAt: info.mtime ?? new Date(0) });
    } catch (error) {
      onBad(join(dir, name), error);
    }
  }
  return found;
}
