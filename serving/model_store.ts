/**
 * The versions and aliases of models in Deno KV. The server is the only process that writes them.
 *
 * @module
 */

/** One trained state of a model. */
export interface StoredVersion {
  name: string;
  /** Counted from 1. */
  version: number;
  /** The name of the folder of its files, not its place, which may change. */
  folder: string;
  /** When the files were finished; a folder that is trained anew becomes another version. */
  finished_at: string;
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
  readonly #kv: Deno.Kv;

  private constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** Opens the store in a file, or in memory for `:memory:`. */
  static async open(path: string): Promise<ModelStore> {
    return new ModelStore(await Deno.openKv(path));
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
    await this.#kv.set(["model_versions", version.name, version.version], version);
  }

  /** Writes an alias and takes others away, in one step. */
  async putAlias(alias: StoredAlias, instead: readonly StoredAlias[] = []): Promise<void> {
    const change = this.#kv.atomic();
    for (const old of instead) change.delete(aliasKey(old));
    await change.set(aliasKey(alias), alias).commit();
  }

  /** Takes an alias away. */
  async deleteAlias(alias: StoredAlias): Promise<void> {
    await this.#kv.delete(aliasKey(alias));
  }

  /** Closes the store. */
  close(): void {
    this.#kv.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #list<Value>(prefix: Deno.KvKey): Promise<Value[]> {
    const entries = await Array.fromAsync(this.#kv.list<Value>({ prefix }));
    return entries.map(({ value }) => value);
  }
}

function aliasKey({ name, alias }: StoredAlias): Deno.KvKey {
  return ["model_aliases", name, alias];
}
