/**
 * The models that can be served: their names, versions and aliases.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { checkRegular, exists } from "../lib/files.ts";
import { isAdapter } from "../models/formats/adapter.ts";
import { CONFIG_FILE } from "../models/formats/config.ts";
import { readConfig } from "../models/family.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import { finishedRuns } from "../training/folder/run_folder.ts";
import type { RunStore } from "../orchestration/run_store.ts";
import { StateError } from "../orchestration/store.ts";
import type { ModelStore, StoredAlias, StoredVersion, WeightedVersion } from "./model_store.ts";

/** The alias of the model that answers requests which name none; one model has it at a time. */
export const DEFAULT_ALIAS = "default";

/** Folders are looked through again after so long. */
const SCAN_INTERVAL_MS = 1000;

/** A name that belongs to no model, version or alias. */
export class UnknownModelError extends Error {
  override name = "UnknownModelError";
}

/** A change that something else rules out. */
export class ModelConflictError extends Error {
  override name = "ModelConflictError";
}

/** A model at one state of its training. */
export interface ModelVersion {
  name: string;
  /** Counted from 1. */
  version: number;
  dir: string;
  finishedAt: Date;
}

/** A model with all that can be asked of it. */
export interface Model {
  name: string;
  /** The oldest first; there is at least one. */
  versions: ModelVersion[];
  aliases: Map<string, WeightedVersion[]>;
}

/** Where models are found. */
export interface ModelRegistryOptions {
  store: ModelStore;
  /** Knows the names that runs were given. */
  runs: RunStore;
  /** Folder of runs; those that are finished can be served. */
  runsDir: string;
  /** Folder of models, which are served under the names of their folders. */
  modelsDir?: string | undefined;
}

/** A model's files, as the folders have them. */
interface Found {
  name: string;
  dir: string;
  finishedAt: Date;
}

/** Knows every model by name, `name@version` and `name:alias`. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions;
  #versions: StoredVersion[];
  #aliases: StoredAlias[];
  /** Where the files of versions are, by {@link fingerprint}. */
  #dirs = new Map<string, string>();
  #models = new Map<string, Model>();
  /** Changes wait for each other: each begins from what the one before has stored. */
  readonly #changes = new SerialQueue();
  /** Versions that the store has not taken yet. */
  readonly #unsaved = new Set<StoredVersion>();
  /** What has been said of folders and the store. */
  readonly #reported = new Set<string>();
  /** The names of runs by their ids, as the store gave them last. */
  readonly #runNames = new Map<string, string>();
  #scan: Promise<void> | undefined;
  #scannedAt = -Infinity;

  private constructor(
    options: ModelRegistryOptions,
    versions: StoredVersion[],
    aliases: StoredAlias[],
  ) {
    this.#options = options;
    this.#versions = versions;
    this.#aliases = aliases;
  }

  /** Reads what is known of models. */
  static async open(options: ModelRegistryOptions): Promise<ModelRegistry> {
    const { store } = options;
    try {
      return new ModelRegistry(options, await store.versions(), await store.aliases());
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      // What the folders hold can be served all the same.
      return new ModelRegistry(options, [], []);
    }
  }

  /** All models by name, as they are now. */
  async list(): Promise<Model[]> {
    await this.#refresh();
    return [...this.#models.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /**
   * The model of a name.
   *
   * @throws {UnknownModelError} If there is none.
   */
  async model(name: string): Promise<Model> {
    await this.#refresh();
    return this.#model(name);
  }

  /**
   * The version that a request means.
   *
   * @param reference A name, whose newest version is taken, `name@version`, `name:alias` or a run's
   * id. Without one, the alias {@link DEFAULT_ALIAS}, or the only model where there is one only.
   * @param key Requests of one key get one version of an alias that divides them.
   * @throws {UnknownModelError} If there is none.
   */
  async resolve(reference?: string, key?: string): Promise<ModelVersion> {
    if (performance.now() - this.#scannedAt > SCAN_INTERVAL_MS) await this.#refresh();
    try {
      return this.#resolve(reference, key);
    } catch (error) {
      if (!(error instanceof UnknownModelError)) throw error;
      // It may have been trained just now.
      await this.#refresh();
      return this.#resolve(reference, key);
    }
  }

  /**
   * Points an alias at versions, for all requests from now on.
   *
   * @throws {UnknownModelError} If there is no such model or version.
   */
  setAlias(name: string, alias: string, versions: WeightedVersion[]): Promise<void> {
    return this.#changes.run(() => this.#setAlias(name, alias, versions));
  }

  async #setAlias(name: string, alias: string, versions: WeightedVersion[]): Promise<void> {
    const model = await this.model(name);
    for (const { version } of versions) versionOf(model, version);
    const stored = { name, alias, versions };
    const replaced = this.#aliases.filter((other) =>
      other.alias === alias && (other.name === name || alias === DEFAULT_ALIAS)
    );
    await this.#options.store.putAlias(stored, replaced.filter((other) => other.name !== name));
    this.#aliases = [...this.#aliases.filter((other) => !replaced.includes(other)), stored];
    this.#index();
  }

  /**
   * Takes an alias away.
   *
   * @throws {UnknownModelError} If there is no such alias.
   */
  deleteAlias(name: string, alias: string): Promise<void> {
    return this.#changes.run(() => this.#deleteAlias(name, alias));
  }

  async #deleteAlias(name: string, alias: string): Promise<void> {
    const stored = this.#aliases.find((other) => other.name === name && other.alias === alias);
    if (stored === undefined) {
      throw new UnknownModelError(`model '${name}' has no alias '${alias}'`);
    }
    await this.#options.store.deleteAlias(stored);
    this.#aliases = this.#aliases.filter((other) => other !== stored);
    this.#index();
  }

  /**
   * Serves a model, or one version of it, no more; the files stay.
   *
   * @param reference A name or `name@version`.
   * @returns The versions that are gone.
   * @throws {UnknownModelError} If there is none.
   * @throws {ModelConflictError} If an alias points at the version.
   */
  delete(reference: string): Promise<ModelVersion[]> {
    return this.#changes.run(() => this.#delete(reference));
  }

  async #delete(reference: string): Promise<ModelVersion[]> {
    await this.#refresh();
    const whole = this.#models.get(reference);
    const versions = whole?.versions ?? [this.#resolve(reference)];
    const { name } = versions[0]!;
    const aliases = this.#aliases.filter((alias) => alias.name === name);
    if (whole === undefined) {
      const { version } = versions[0]!;
      const alias = aliases.find(({ versions }) => versions.some((it) => it.version === version));
      if (alias !== undefined) {
        throw new ModelConflictError(`alias '${alias.alias}' points at '${reference}'`);
      }
    } else {
      for (const { alias } of aliases) await this.#deleteAlias(name, alias);
    }
    const gone = new Set(versions.map(({ version }) => version));
    for (const stored of this.#versions) {
      if (stored.name !== name || !gone.has(stored.version)) continue;
      stored.deleted = true;
      await this.#options.store.putVersion(stored);
    }
    await this.#refresh();
    return versions;
  }

  #model(name: string): Model {
    const model = this.#models.get(name);
    if (model === undefined) throw new UnknownModelError(`there is no model '${name}'`);
    return model;
  }

  #resolve(reference: string | undefined, key?: string): ModelVersion {
    if (reference === undefined) return this.#default(key);
    const model = this.#models.get(reference);
    if (model !== undefined) return model.versions.at(-1)!;
    const [, name, sign, rest] = /^(.+)([@:])([^@:]+)$/.exec(reference) ?? [];
    if (name === undefined) return this.#ofRun(reference);
    const owner = this.#model(name);
    if (sign === "@") return versionOf(owner, /^[1-9]\d*$/.test(rest!) ? Number(rest) : undefined);
    const versions = owner.aliases.get(rest!);
    if (versions !== undefined) return versionOf(owner, choose(versions, reference, key));
    throw new UnknownModelError(`model '${name}' has no alias '${rest}'`);
  }

  #default(key: string | undefined): ModelVersion {
    const models = [...this.#models.values()];
    const [first, ...others] = models;
    if (first === undefined) throw new UnknownModelError("there is no trained model yet");
    const chosen = models.find(({ aliases }) => aliases.has(DEFAULT_ALIAS));
    if (chosen !== undefined) return this.#resolve(`${chosen.name}:${DEFAULT_ALIAS}`, key);
    if (others.length === 0) return first.versions.at(-1)!;
    const known = models.map(({ name }) => `'${name}'`).join(", ");
    throw new UnknownModelError(`must be given, as there are several: ${known}`);
  }

  /** Runs that were given a name are known by their ids, too, which are the names of their folders. */
  #ofRun(id: string): ModelVersion {
    for (const { versions } of this.#models.values()) {
      const found = versions.find(({ dir }) => basename(dir) === id);
      if (found !== undefined) return found;
    }
    throw new UnknownModelError(`there is no model '${id}'`);
  }

  /** Looks through the folders; calls that overlap share the next look that begins. */
  async #refresh(): Promise<void> {
    await this.#scan;
    await (this.#scan ??= this.#findModels().finally(() => this.#scan = undefined));
  }

  async #findModels(): Promise<void> {
    const found = await this.#foundModels();
    const known = new Set(this.#versions.map((it) => fingerprint(it.folder, it.finished_at)));
    for (const { name, dir, finishedAt } of found) {
      const folder = basename(dir);
      const finished_at = finishedAt.toISOString();
      if (known.has(fingerprint(folder, finished_at)) || !await this.#isReadable(dir)) continue;
      const numbers = this.#versions.filter((it) => it.name === name).map((it) => it.version);
      const stored = { name, version: Math.max(0, ...numbers) + 1, folder, finished_at };
      this.#versions.push(stored);
      this.#unsaved.add(stored);
    }
    await this.#save();
    this.#dirs = new Map(
      found.map(({ dir, finishedAt }) => [
        fingerprint(basename(dir), finishedAt.toISOString()),
        dir,
      ]),
    );
    this.#index();
    this.#scannedAt = performance.now();
  }

  /** Whether a folder's configuration can be read. */
  async #isReadable(dir: string): Promise<boolean> {
    try {
      const hasConfig = await exists(join(dir, CONFIG_FILE));
      if (hasConfig && !await isAdapter(dir)) await readConfig(dir);
      return true;
    } catch (error) {
      this.#reportBad(dir, error);
      return false;
    }
  }

  /** Writes down new versions; where that cannot be they are served, and it is tried again. */
  async #save(): Promise<void> {
    for (const version of this.#unsaved) {
      try {
        await this.#options.store.putVersion(version);
      } catch (error) {
        this.#report("Cannot write down the version of a model", error);
        return;
      }
      this.#unsaved.delete(version);
    }
  }

  #reportBad(path: string, error: unknown): void {
    this.#report(`Left '${path}' out of the models`, error);
  }

  /** Says what is wrong with something, once. */
  #report(what: string, error: unknown): void {
    const message = `${what}: ${error instanceof Error ? error.message : error}`;
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    console.error(message);
  }

  /** Makes {@link #models} from what is stored and what the folders hold. */
  #index(): void {
    const models = new Map<string, Model>();
    for (const { name, version, folder, finished_at, deleted } of this.#versions) {
      const dir = this.#dirs.get(fingerprint(folder, finished_at));
      if (deleted || dir === undefined) continue;
      const model: Model = models.get(name) ?? { name, versions: [], aliases: new Map() };
      model.versions.push({ name, version, dir, finishedAt: new Date(finished_at) });
      models.set(name, model);
    }
    for (const { versions } of models.values()) versions.sort((a, b) => a.version - b.version);
    for (const { name, alias, versions } of this.#aliases) {
      models.get(name)?.aliases.set(alias, versions);
    }
    this.#models = models;
  }

  /** What the folders hold, the oldest first. */
  async #foundModels(): Promise<Found[]> {
    const { runsDir, modelsDir } = this.#options;
    const onBad = (path: string, error: unknown) => this.#reportBad(path, error);
    const runs = await finishedRuns(runsDir, onBad);
    await this.#readNames(runs.map(({ name }) => name));
    const found: Found[] = runs
      .map((run) => ({ ...run, name: this.#runNames.get(run.name) ?? run.name }));
    if (modelsDir !== undefined) found.push(...await modelFolders(modelsDir, onBad));
    return found.sort((a, b) => a.finishedAt.getTime() - b.finishedAt.getTime());
  }

  /** Reads the names that runs were given; they stay as they are, and are read once. */
  async #readNames(ids: readonly string[]): Promise<void> {
    try {
      for (const id of ids) {
        if (this.#runNames.has(id)) continue;
        this.#runNames.set(id, (await this.#options.runs.get(id))?.name ?? id);
      }
    } catch (error) {
      this.#report("Cannot read the names of runs", error);
    }
  }
}

async function modelFolders(
  dir: string,
  onBad: (path: string, error: unknown) => void,
): Promise<Found[]> {
  const found: Found[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    const config = join(dir, name, CONFIG_FILE);
    try {
      if (!await exists(config)) continue;
      await checkRegular(config);
      const { mtime } = await Deno.stat(config);
      found.push({ name, dir: join(dir, name), finishedAt: mtime ?? new Date(0) });
    } catch (error) {
      onBad(join(dir, name), error);
    }
  }
  return found;
}

/** Tells the files of one version from all others. */
function fingerprint(folder: string, finishedAt: string): string {
  return `${finishedAt} ${folder}`;
}

function versionOf({ name, versions }: Model, number: number | undefined): ModelVersion {
  const found = versions.find(({ version }) => version === number);
  if (found !== undefined) return found;
  const known = versions.map(({ version }) => version).join(", ");
  throw new UnknownModelError(`model '${name}' has no such version; it has ${known}`);
}

/** Divides requests among versions: one key always gets the same as long as the weights stay. */
function choose(versions: readonly WeightedVersion[], alias: string, key?: string): number {
  const share = key === undefined
    ? Math.random()
    : createHash("sha256").update(`${alias} ${key}`).digest().readUInt32BE() / 2 ** 32;
  const total = versions.reduce((sum, { weight }) => sum + weight, 0);
  let rest = share * total;
  for (const { version, weight } of versions) {
    if (rest < weight) return version;
    rest -= weight;
  }
  return versions.findLast(({ weight }) => weight > 0)!.version;
}
