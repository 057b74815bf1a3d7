/**
 * The versions and aliases of models. The server is the only process that writes them.
 *
 * @module
 */
import { type Key, KvStore, type Store } from "../orchestration/store.ts";

/** One trained state of a model. */
export interface StoredVersion {
  name: string;
  /** Counted from 1. */
  version: number;
  /** The name of the folder of its files, not its place, which may change. */
  folder: string;
  /** When the files were finished, by the time that they had when they were found. */
  finished_at: string;
  /** A digest of what tells the files from others; a folder that is trained anew gets another. */
  identity?: string;
  /** Whether it is served no more; its number is not given again. */
  deleted?: true;
}

/** Versions that share the requests to an alias in proportion to their weights. */
export interface WeightedVersion {
  version: number;
  weight: number;
}

/** A name for a version, or for several among which requests are divided. */
export interface StoredAlias {
  name: string;
  alias: string;
  versions: WeightedVersion[];
}

/** Keeps what the folders of models do not say. */
export class ModelStore implements Disposable {
  readonly #store: Store;

  /** @param store Where it is kept; it is closed with this. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Opens the store in a file, a KV database by its URL, or in memory for `:memory:`. */
  static async open(path: string): Promise<ModelStore> {
    return new ModelStore(await KvStore.open(path));
  }

  /** All versions, by name and number. */
  versions(): Promise<StoredVersion[]> {
    return this.#list(["model_versions"]);
  }

  /** All aliases, by model and name. */
  aliases(): Promise<StoredAlias[]> {
    return this.#list(["model_aliases"]);
  }

  /** Writes a version. */
  async putVersion(version: StoredVersion): Promise<void> {
    const key = ["model_versions", version.name, version.version];
    await this.#store.put([{ key, value: version }]);
  }

  /** Writes an alias and takes others away, in one step. */
  async putAlias(alias: StoredAlias, instead: readonly StoredAlias[] = []): Promise<void> {
    const gone = instead.map((old) => ({ key: aliasKey(old) }));
    await this.#store.put([...gone, { key: aliasKey(alias), value: alias }]);
  }

  /** Takes an alias away. */
  async deleteAlias(alias: StoredAlias): Promise<void> {
    await this.#store.put([{ key: aliasKey(alias) }]);
  }

  /** Closes the store. */
  close(): void {
    this.#store[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #list<Value>(prefix: Key): Promise<Value[]> {
    return (await this.#store.list<Value>({ prefix })).map(({ value }) => value);
  }
}

function aliasKey({ name, alias }: StoredAlias): Key {
  return ["model_aliases", name, alias];
}
