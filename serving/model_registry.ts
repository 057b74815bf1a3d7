/**
 * The models that can be served: their names, versions and aliases.
 *
 * @module
 */
import { basename, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ProblemType } from "../data/labels.ts";
import { messageOf } from "../lib/format.ts";
import { mapAtOnce } from "../lib/map_at_once.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import { IDENTITY_LENGTH } from "../models/formats/model_folder.ts";
import { StateError } from "../orchestration/store.ts";
import { classesKey, classesOf, differing } from "./model_classes.ts";
import {
  FOLDERS_AT_ONCE,
  type FoundModel,
  ModelFolders,
  type ModelFoldersOptions,
} from "./model_folders.ts";
import {
  CURRENT_ALIAS,
  currentVersions,
  DEFAULT_ALIAS,
  type Model,
  modelOf,
  type ModelVersion,
  resolveReference,
  UnknownModelError,
  versionOf,
} from "./model_reference.ts";
import type { ModelStore, StoredAlias, StoredVersion, WeightedVersion } from "./model_store.ts";

/** The time after which the folders are scanned again. */
const SCAN_INTERVAL_MS = 1000;

/** Something else rules out the change. */
export class ModelConflictError extends Error {
  override name = "ModelConflictError";
}

/** Options of {@link ModelRegistry}. */
export interface ModelRegistryOptions extends ModelFoldersOptions {
  store: ModelStore;
}

/** The models by name, `name@version` and `name:alias`. */
export class ModelRegistry {
  readonly #store: ModelStore;
  readonly #runsDir: string;
  readonly #folders: ModelFolders;
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
  #scan: Promise<void> | undefined;
  #scannedAt = -Infinity;

  private constructor(
    options: ModelRegistryOptions,
    versions: StoredVersion[],
    aliases: StoredAlias[],
  ) {
    this.#store = options.store;
    this.#runsDir = options.runsDir;
    this.#folders = new ModelFolders(options, (what, error) => this.#report(what, error));
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
    return modelOf(this.#models, name);
  }

  /**
   * The version for a reference in a request.
   *
   * @param reference As {@link resolveReference} takes it.
   * @param key Requests with the same key get the same version of an alias that divides them.
   * @throws {UnknownModelError} If there is none.
   */
  async resolve(reference?: string, key?: string): Promise<ModelVersion> {
    if (performance.now() - this.#scannedAt > SCAN_INTERVAL_MS) await this.#refresh();
    try {
      return await this.#brought(resolveReference(this.#models, reference, key));
    } catch (error) {
      if (!(error instanceof UnknownModelError)) throw error;
      // The model may have just been trained.
      await this.#refresh();
      return await this.#brought(resolveReference(this.#models, reference, key));
    }
  }

  /** A version whose files have been brought to this machine. */
  async #brought(version: ModelVersion): Promise<ModelVersion> {
    await this.#store.shared?.bring(basename(version.dir));
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
          `set "other_classes": true to move the alias '${alias}' anyway`,
      );
    }
    const stored = { name, alias, versions };
    const replaced = this.#aliases.filter((other) =>
      other.alias === alias && (other.name === name || alias === DEFAULT_ALIAS)
    );
    await this.#store.putAlias(stored, replaced.filter((other) => other.name !== name));
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
    await this.#store.deleteAlias(stored);
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
    const versions = whole?.versions ?? [resolveReference(this.#models, reference)];
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
    const removed = this.#versions.filter((it) => it.name === name && gone.has(it.version));
    for (const stored of removed) stored.deleted = true;
    await this.#store.putVersions(removed);
    await this.#refresh();
    return versions;
  }

  /** Scans the folders; overlapping calls share the next scan that begins. */
  async #refresh(): Promise<void> {
    await this.#scan;
    await (this.#scan ??= this.#findModels().finally(() => this.#scan = undefined));
  }

  async #findModels(): Promise<void> {
    const store = this.#store;
    if (store.shared !== undefined) {
      this.#versions = await store.versions();
      this.#aliases = await store.aliases();
      this.#dirs = new Map(
        this.#versions.map(({ folder, identity = "" }) => [
          keyOf(folder, identity),
          join(this.#runsDir, folder),
        ]),
      );
      this.#index();
      this.#scannedAt = performance.now();
      return;
    }
    const found = await this.#folders.find();
    const known = new Set(
      this.#versions.map(({ folder, identity = "" }) => keyOf(folder, identity)),
    );
    const key = ({ dir, identity }: FoundModel) => keyOf(basename(dir), identity);
    for (const it of found) if (!known.has(key(it)) && this.#adopt(it)) known.add(key(it));
    this.#dirs = new Map(found.map((it) => [key(it), it.dir]));
    this.#index();
    const served = this.#models;
    const added = found.filter((it) => !known.has(key(it)));
    const readable = await mapAtOnce(
      added,
      FOLDERS_AT_ONCE,
      (it) => this.#folders.isReadable(it),
    );
    for (const [i, it] of added.entries()) {
      // The same folder may be there twice, among the runs and the models.
      if (!readable[i] || known.has(key(it))) continue;
      known.add(key(it));
      await this.#add(it, served.get(it.name));
    }
    await this.#save();
    this.#index();
    this.#scannedAt = performance.now();
  }

  /**
   * Gives the files of a folder a version number.
   *
   * @param served The model that its name stood for before this scan.
   */
  async #add(found: FoundModel, served?: Model): Promise<void> {
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

  /**
   * Gives a version that an earlier version of Graft stored the identity of its files.
   *
   * @returns Whether there is such a version.
   */
  #adopt({ dir, finishedAt, identity }: FoundModel): boolean {
    const folder = basename(dir);
    const finished_at = finishedAt.toISOString();
    const old = this.#versions.find((it) =>
      it.folder === folder && it.finished_at === finished_at &&
      it.identity?.length !== IDENTITY_LENGTH
    );
    if (old === undefined) return false;
    old.identity = identity;
    this.#unsaved.add(old);
    return true;
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
          `its classes differ from those served; PUT /v1/models/${name}/aliases/${CURRENT_ALIAS} with ` +
            `{"version": ${added.version}, "other_classes": true} does it anyway`,
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

  /** Stores new versions; if that fails they are served all the same, and it is tried again. */
  async #save(): Promise<void> {
    const store = this.#store;
    try {
      for (const alias of this.#unsavedAliases) {
        await store.putAlias(alias);
        this.#unsavedAliases.delete(alias);
      }
      const versions = [...this.#unsaved];
      await store.putVersions(versions);
      for (const version of versions) this.#unsaved.delete(version);
    } catch (error) {
      this.#report("Cannot write down the version of a model", error);
    }
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
}

function keyOf(folder: string, identity: string): string {
  return `${identity} ${folder}`;
}
