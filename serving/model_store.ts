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
export interface ModelStore extends Disposable {
  /** Those who share a store find models in it, and not in folders of their own. */
  readonly shared?: SharedModels;
  /** All versions, by name and number. */
  versions(): Promise<StoredVersion[]>;
  /** All aliases, by model and name. */
  aliases(): Promise<StoredAlias[]>;
  /** Writes a version. */
  putVersion(version: StoredVersion): Promise<void>;
  /** Writes an alias and takes others away. */
  putAlias(alias: StoredAlias, instead?: readonly StoredAlias[]): Promise<void>;
  /** Takes an alias away. */
  deleteAlias(alias: StoredAlias): Promise<void>;
  /** Closes the store. */
  close(): void;
}

/** Models that others publish, too. */
export interface SharedModels {
  /** Sees to it that the files of a version are in its folder. */
  bring(folder: string): Promise<void>;
  /** Calls a function after each change, wherever it was made. */
  listen(listener: () => void): Disposable;
}

/** Keeps versions and aliases in Deno KV. */
export class KvModelStore implements ModelStore {
  readonly #store: Store;

  /** @param store Where it is kept; it is closed with this. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Opens the store in a file, a KV database by its URL, or in memory for `:memory:`. */
  static async open(path: string): Promise<KvModelStore> {
    return new KvModelStore(await KvStore.open(path));
  }

  versions(): Promise<StoredVersion[]> {
    return this.#list(["model_versions"]);
  }

  aliases(): Promise<StoredAlias[]> {
    return this.#list(["model_aliases"]);
  }

  async putVersion(version: StoredVersion): Promise<void> {
    const key = ["model_versions", version.name, version.version];
    await this.#store.put([{ key, value: version }]);
  }

  async putAlias(alias: StoredAlias, instead: readonly StoredAlias[] = []): Promise<void> {
    const gone = instead.map((old) => ({ key: aliasKey(old) }));
    await this.#store.put([...gone, { key: aliasKey(alias), value: alias }]);
  }

  async deleteAlias(alias: StoredAlias): Promise<void> {
    await this.#store.put([{ key: aliasKey(alias) }]);
  }

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
