/**
 * The models that can be served: their names, versions and aliases.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ProblemType } from "../data/labels.ts";
import { checkRegular, exists, fileInfo, realPath } from "../lib/files.ts";
import { messageOf } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { baseNameOf, isAdapter } from "../models/formats/adapter.ts";
import { BUNDLED_MODEL, CONFIG_FILE, problemOf } from "../models/formats/config.ts";
import { IDENTITY_LENGTH, modelIdentity } from "../models/formats/model_folder.ts";
import { readConfig } from "../models/family.ts";
import { mapAtOnce } from "../lib/map_at_once.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import { type FinishedRun, finishedRuns } from "../training/folder/run_folder.ts";
import type { Run, RunStore } from "../orchestration/run_store.ts";
import { StateError } from "../orchestration/store.ts";
import type { ModelStore, StoredAlias, StoredVersion, WeightedVersion } from "./model_store.ts";

/** The alias of the model that answers requests that name none; only one model has it at a time. */
export const DEFAULT_ALIAS = "default";

/**
 * The alias that a name alone stands for. It is set when a second version appears, to the version
 * that answered until then: a new version takes over the requests only if that was asked for.
 */
export const CURRENT_ALIAS = "current";

/** The time after which the folders are scanned again. */
const SCAN_INTERVAL_MS = 1000;

/** The number of folders scanned at the same time, each with a few short waits for the disk. */
const FOLDERS_AT_ONCE = 32;

/** A name that belongs to no model, version or alias. */
export class UnknownModelError extends Error {
  override name = "UnknownModelError";
}

/** Something else rules out the change. */
export class ModelConflictError extends Error {
  override name = "ModelConflictError";
}

/** A model in one state of its training. */
export interface ModelVersion {
  name: string;
  /** Counted from 1. */
  version: number;
  dir: string;
  finishedAt: Date;
}

/** A model with its versions and aliases. */
export interface Model {
  name: string;
  /** The versions, the oldest first; there is at least one. */
  versions: ModelVersion[];
  aliases: Map<string, WeightedVersion[]>;
}

/** The versions that share the requests for a model's name alone. */
export function currentVersions({ aliases, versions }: Model): WeightedVersion[] {
  return aliases.get(CURRENT_ALIAS) ?? [{ version: versions.at(-1)!.version, weight: 1 }];
}

/** Options of {@link ModelRegistry}. */
export interface ModelRegistryOptions {
  store: ModelStore;
  /** The runs, which have names. */
  runs: RunStore;
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
interface Found {
  name: string;
  dir: string;
  finishedAt: Date;
  identity: string;
  /** Whether the model is to take over the requests of its name. */
  promote: boolean;
}

/** The run of a folder. */
type KnownRun = Pick<Run, "name" | "promote">;

/** The models by name, `name@version` and `name:alias`. */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions;
  #versions: StoredVersion[];
  #aliases: StoredAlias[];
  /** The folders of versions, by {@link keyOf}. */
  #dirs = new Map<string, string>();
  #models = new Map<string, Model>();
  /** Changes run one after another: each starts from the state that the one before has stored. */
  readonly #changes = new SerialQueue();
  /** Versions that the store has not accepted yet. */
  readonly #unsaved = new Set<StoredVersion>();
  /** Aliases that the store lacks, written first: without one a name means the newest version. */
  readonly #unsavedAliases = new Set<StoredAlias>();
  /** The messages about folders and the store that have been logged. */
  readonly #reported = new Set<string>();
  /** Runs by id, as the store last returned them. */
  readonly #knownRuns = new Map<string, KnownRun>();
  /** The identities of folders, with the time of their files. */
  readonly #identities = new Map<string, { finishedAt: number; identity: string }>();
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
    // At once, so that a change made elsewhere takes effect here too.
    options.store.shared?.listen(() => {
      this.#refresh().catch((error) => this.#report("Cannot read the models", error));
    });
  }

  /** Reads the stored versions and aliases. */
  static async open(options: ModelRegistryOptions): Promise<ModelRegistry> {
    const { store } = options;
    try {
      return new ModelRegistry(options, await store.versions(), await store.aliases());
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      // The models in the folders can be served all the same.
      return new ModelRegistry(options, [], []);
    }
  }

  /** All models by name, as of now. */
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
   * The version for a reference in a request.
   *
   * @param reference A name, which stands for its alias {@link CURRENT_ALIAS} or, without that, for
   * its newest version; `name@version`, `name:alias` or a run's id. Without a reference, the alias
   * {@link DEFAULT_ALIAS}, or the only model if there is just one.
   * @param key Requests with the same key get the same version of an alias that divides them.
   * @throws {UnknownModelError} If there is none.
   */
  async resolve(reference?: string, key?: string): Promise<ModelVersion> {
    if (performance.now() - this.#scannedAt > SCAN_INTERVAL_MS) await this.#refresh();
    try {
      return await this.#brought(this.#resolve(reference, key));
    } catch (error) {
      if (!(error instanceof UnknownModelError)) throw error;
      // The model may have just been trained.
      await this.#refresh();
      return await this.#brought(this.#resolve(reference, key));
    }
  }

  /** A version whose files have been brought to this machine. */
  async #brought(version: ModelVersion): Promise<ModelVersion> {
    await this.#options.store.shared?.bring(basename(version.dir));
    return version;
  }

  /**
   * Points an alias at versions, for all requests from now on.
   *
   * @param otherClasses Whether the classes of the alias may change.
   * @throws {UnknownModelError} If there is no such model or version.
   * @throws {ModelConflictError} If the versions differ in their classes, or from those that the
   * alias points at, and this is not allowed.
   */
  setAlias(
    name: string,
    alias: string,
    versions: WeightedVersion[],
    { otherClasses = false }: { otherClasses?: boolean } = {},
  ): Promise<void> {
    return this.#changes.run(() => this.#setAlias(name, alias, versions, otherClasses));
  }

  async #setAlias(
    name: string,
    alias: string,
    versions: WeightedVersion[],
    otherClasses: boolean,
  ): Promise<void> {
    const model = await this.model(name);
    const wanted = versions.map(({ version }) => versionOf(model, version));
    const pointed = (alias === CURRENT_ALIAS ? currentVersions(model) : model.aliases.get(alias)) ??
      [];
    const present = model.versions.filter((it) => pointed.some((at) => at.version === it.version));
    for (const version of wanted) await this.#brought(version);
    if (!otherClasses) { for (const version of present) await this.#brought(version); }
    const other = otherClasses ? undefined : await differing([...present, ...wanted]);
    if (other !== undefined) {
      throw new ModelConflictError(
        `versions ${other[0].version} and ${
          other[1].version
        } of '${name}' are for other classes; ` +
          `with "other_classes": true the alias '${alias}' is pointed there all the same`,
      );
    }
    const stored = { name, alias, versions };
    const replaced = this.#aliases.filter((other) =>
      other.alias === alias && (other.name === name || alias === DEFAULT_ALIAS)
    );
    await this.#options.store.putAlias(stored, replaced.filter((other) => other.name !== name));
    this.#aliases = [...this.#aliases.filter((other) => !replaced.includes(other)), stored];
    this.#index();
  }

  /**
   * The version that a name stands for, if its classes differ from these.
   *
   * @param spellings The classes, in any of the lists by which they may be known.
   */
  async otherClasses(
    name: string,
    problemType: ProblemType,
    spellings: readonly (readonly string[])[],
  ): Promise<ModelVersion | undefined> {
    const model = await this.model(name).catch((error) => {
      if (error instanceof UnknownModelError) return undefined;
      throw error;
    });
    if (model === undefined) return undefined;
    const known = spellings.map((labels) => classesKey(problemType, labels));
    for (const { version } of currentVersions(model)) {
      const present = versionOf(model, version);
      const classes = await classesOf(present.dir);
      if (classes !== undefined && !known.includes(classes)) return present;
    }
    return undefined;
  }

  /**
   * Removes an alias.
   *
   * @throws {UnknownModelError} If there is no such alias.
   * @throws {ModelConflictError} If the name alone would then stand for another version.
   */
  deleteAlias(name: string, alias: string): Promise<void> {
    return this.#changes.run(async () => {
      if (alias === CURRENT_ALIAS && (this.#models.get(name)?.versions.length ?? 0) > 1) {
        throw new ModelConflictError(
          `'${name}' has several versions, and '${alias}' says which one answers; point it at another`,
        );
      }
      await this.#deleteAlias(name, alias);
    });
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
   * Stops serving a model, or one version of it; the files stay.
   *
   * @param reference A name or `name@version`.
   * @returns The removed versions.
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
    if (model !== undefined) {
      return versionOf(model, choose(currentVersions(model), `${reference}:${CURRENT_ALIAS}`, key));
    }
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
    if (others.length === 0) return this.#resolve(first.name, key);
    const known = models.map(({ name }) => `'${name}'`).join(", ");
    throw new UnknownModelError(
      `one of ${known} must be named, or have the alias '${DEFAULT_ALIAS}'`,
    );
  }

  /** The version of a run's id, which is the name of its folder, even if the run has a name. */
  #ofRun(id: string): ModelVersion {
    for (const { versions } of this.#models.values()) {
      const found = versions.find(({ dir }) => basename(dir) === id);
      if (found !== undefined) return found;
    }
    throw new UnknownModelError(`there is no model '${id}'`);
  }

  /** Scans the folders; overlapping calls share the next scan that begins. */
  async #refresh(): Promise<void> {
    await this.#scan;
    await (this.#scan ??= this.#findModels().finally(() => this.#scan = undefined));
  }

  async #findModels(): Promise<void> {
    const { store, runsDir } = this.#options;
    if (store.shared !== undefined) {
      this.#versions = await store.versions();
      this.#aliases = await store.aliases();
      this.#dirs = new Map(
        this.#versions.map(({ folder, identity = "" }) => [
          keyOf(folder, identity),
          join(runsDir, folder),
        ]),
      );
      this.#index();
      this.#scannedAt = performance.now();
      return;
    }
    const found = await this.#foundModels();
    for (const it of found) this.#adopt(it);
    this.#dirs = new Map(found.map((it) => [keyOf(basename(it.dir), it.identity), it.dir]));
    this.#index();
    const served = this.#models;
    const readable = await mapAtOnce(
      found,
      FOLDERS_AT_ONCE,
      async (it) => this.#known(it) !== undefined || await this.#isReadable(it.dir),
    );
    for (const [i, it] of found.entries()) {
      if (readable[i]) await this.#add(it, served.get(it.name));
    }
    await this.#save();
    this.#index();
    this.#scannedAt = performance.now();
  }

  /**
   * Gives the files of a folder a version number, unless they have one.
   *
   * @param served The model that its name stood for before this scan.
   */
  async #add(found: Found, served?: Model): Promise<void> {
    if (this.#known(found) !== undefined) return;
    const { name, dir, finishedAt, identity, promote } = found;
    const folder = basename(dir);
    const finished_at = finishedAt.toISOString();
    const numbers = this.#versions.filter((it) => it.name === name).map((it) => it.version);
    const version = Math.max(0, ...numbers) + 1;
    const stored: StoredVersion = { name, version, folder, finished_at, identity };
    if (served !== undefined) await this.#pin(served, { name, version, dir, finishedAt }, promote);
    this.#versions.push(stored);
    this.#unsaved.add(stored);
  }

  /** Gives a version that an earlier version of Graft stored the identity of its files. */
  #adopt({ dir, finishedAt, identity }: Found): void {
    if (this.#known({ dir, identity }) !== undefined) return;
    const folder = basename(dir);
    const finished_at = finishedAt.toISOString();
    const old = this.#versions.find((it) =>
      it.folder === folder && it.finished_at === finished_at &&
      it.identity?.length !== IDENTITY_LENGTH
    );
    if (old === undefined) return;
    old.identity = identity;
    this.#unsaved.add(old);
  }

  /** The version of a folder's files, if they have one. */
  #known({ dir, identity }: Pick<Found, "dir" | "identity">): StoredVersion | undefined {
    const folder = basename(dir);
    return this.#versions.find((it) => it.folder === folder && it.identity === identity);
  }

  /** Keeps a name for the version that it stood for, or gives it to one that is promoted. */
  async #pin(served: Model, added: ModelVersion, promote: boolean): Promise<void> {
    const { name } = served;
    let versions = currentVersions(served);
    if (promote) {
      const present = served.versions.filter((it) =>
        versions.some((at) => at.version === it.version)
      );
      if (await differing([...present, added]) === undefined) {
        versions = [{ version: added.version, weight: 1 }];
      } else {
        const reason = new Error(
          `its classes are others; PUT /v1/models/${name}/aliases/${CURRENT_ALIAS} with ` +
            `{"version": ${added.version}, "other_classes": true} does it all the same`,
        );
        this.#report(`Cannot promote version ${added.version} of '${name}'`, reason);
      }
    }
    if (isDeepStrictEqual(versions, served.aliases.get(CURRENT_ALIAS))) return;
    const pin: StoredAlias = { name, alias: CURRENT_ALIAS, versions };
    served.aliases.set(CURRENT_ALIAS, versions);
    const isReplaced = (it: StoredAlias) => it.name === name && it.alias === CURRENT_ALIAS;
    for (const it of this.#unsavedAliases) if (isReplaced(it)) this.#unsavedAliases.delete(it);
    this.#aliases = [...this.#aliases.filter((it) => !isReplaced(it)), pin];
    this.#unsavedAliases.add(pin);
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

  /** Stores new versions; if that fails they are served all the same, and it is tried again. */
  async #save(): Promise<void> {
    const { store } = this.#options;
    try {
      for (const alias of this.#unsavedAliases) {
        await store.putAlias(alias);
        this.#unsavedAliases.delete(alias);
      }
      await mapAtOnce([...this.#unsaved], FOLDERS_AT_ONCE, async (version) => {
        await store.putVersion(version);
        this.#unsaved.delete(version);
      });
    } catch (error) {
      this.#report("Cannot write down the version of a model", error);
    }
  }

  #reportBad(path: string, error: unknown): void {
    this.#report(`Left '${path}' out of the models`, error);
  }

  /** Logs an error, once. */
  #report(what: string, error: unknown): void {
    const message = `${what}: ${messageOf(error)}`;
    if (this.#reported.has(message)) return;
    this.#reported.add(message);
    console.error(message);
  }

  /** Rebuilds {@link #models} from the stored versions and the folders. */
  #index(): void {
    const models = new Map<string, Model>();
    for (const { name, version, folder, finished_at, identity, deleted } of this.#versions) {
      const dir = identity === undefined ? undefined : this.#dirs.get(keyOf(folder, identity));
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

  /** The models in the folders, the oldest first. */
  async #foundModels(): Promise<Found[]> {
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
    const found = await mapAtOnce(all, FOLDERS_AT_ONCE, async (folder): Promise<Found[]> => {
      try {
        const promote = folder.promote ?? false;
        return [{ ...folder, promote, identity: await this.#identityOf(folder) }];
      } catch (error) {
        onBad(folder.dir, error);
        return [];
      }
    });
    return found.flat().sort((a, b) => a.finishedAt.getTime() - b.finishedAt.getTime());
  }

  async #identityOf({ dir, finishedAt }: Pick<Found, "dir" | "finishedAt">): Promise<string> {
    const known = this.#identities.get(dir);
    if (known?.finishedAt === finishedAt.getTime()) return known.identity;
    await this.#checkBase(dir);
    const identity = await modelIdentity(dir);
    this.#identities.set(dir, { finishedAt: finishedAt.getTime(), identity });
    return identity;
  }

  /**
   * Checks that an adapter's base is one that this server may read.
   *
   * @throws {UserError} If it is not: an adapter's description may come from anyone.
   */
  async #checkBase(dir: string): Promise<void> {
    if (!await isAdapter(dir)) return;
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
}

/**
 * Two of the versions whose classes differ, if there are any. Versions that do not name their
 * classes are left out.
 */
async function differing(
  versions: readonly ModelVersion[],
): Promise<[ModelVersion, ModelVersion] | undefined> {
  let first: { version: ModelVersion; classes: string } | undefined;
  for (const version of versions) {
    const classes = await classesOf(version.dir);
    if (classes === undefined) continue;
    first ??= { version, classes };
    if (classes !== first.classes) return [first.version, version];
  }
  return undefined;
}

function classesKey(problemType: ProblemType, labels: readonly string[]): string {
  return JSON.stringify([problemType, problemType === "regression" ? [] : labels.toSorted()]);
}

async function classesOf(dir: string): Promise<string | undefined> {
  try {
    const { problemType, labels } = problemOf(await readConfig(dir));
    return classesKey(problemType, labels);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
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

function keyOf(folder: string, identity: string): string {
  return `${identity} ${folder}`;
}

function versionOf({ name, versions }: Model, number: number | undefined): ModelVersion {
  const found = versions.find(({ version }) => version === number);
  if (found !== undefined) return found;
  const known = versions.map(({ version }) => version).join(", ");
  throw new UnknownModelError(`model '${name}' has no such version; it has ${known}`);
}

/** Divides requests among versions: a key always gets the same version while the weights stay. */
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
