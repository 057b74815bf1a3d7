/**
 * The store of models' versions and aliases. The server is the only process that writes it.
 *
 * @module
 */
import { type Key, KvStore, MAX_WRITES, type Store } from "../orchestration/store.ts";

/** One trained state of a model. */
export interface StoredVersion {
  name: string;
  /** The version number, from 1. */
  version: number;
  /** The name of its files' folder, not its path, which may change. */
  folder: string;
  /** The time at which the files were finished, as found in the folder. */
  finished_at: string;
  /** A digest that tells the files from others; a folder that is trained again gets another. */
  identity?: string;
  /** Whether the version is no longer served; its number is not used again. */
  deleted?: true;
}

/** Versions that share the requests to an alias in proportion to their weights. */
export interface WeightedVersion {
  version: number;
  weight: number;
}

/** A name for a version, or for several that share the requests. */
export interface StoredAlias {
  name: string;
  alias: string;
  versions: WeightedVersion[];
}

/** Stores the facts about models that their folders do not hold. */
export interface ModelStore extends Disposable {
  /** The models of a shared store, found there and not in folders of the server's own. */
  readonly shared?: SharedModels;
  /** All versions, by name and number. */
  versions(): Promise<StoredVersion[]>;
  /** All aliases, by model and name. */
  aliases(): Promise<StoredAlias[]>;
  /** Writes versions. */
  putVersions(versions: readonly StoredVersion[]): Promise<void>;
  /** Writes an alias and removes others. */
  putAlias(alias: StoredAlias, instead?: readonly StoredAlias[]): Promise<void>;
  /** Removes an alias. */
  deleteAlias(alias: StoredAlias): Promise<void>;
  /** Closes the store. */
  close(): void;
}

/** Models that others publish too. */
export interface SharedModels {
  /** Makes sure that the files of a version are in its folder. */
  bring(folder: string): Promise<void>;
  /** Calls a function after each change, whichever process made it. */
  listen(listener: () => void): Disposable;
}

/** Keeps versions and aliases in Deno KV. */
export class KvModelStore implements ModelStore {
  readonly #store: Store;

  /** @param store The underlying store, which is closed with this. */
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

  async putVersions(versions: readonly StoredVersion[]): Promise<void> {
    const writes = versions.map((value) => ({
      key: ["model_versions", value.name, value.version],
      value,
    }));
    // Each write by itself would wait for the disk.
    while (writes.length > 0) await this.#store.put(writes.splice(0, MAX_WRITES));
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
