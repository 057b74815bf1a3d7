/**
 * The models of a cluster: one key for each, which holds its versions and its aliases, so that
 * everything of a model changes at once.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Cluster } from "./connection.ts";
import { WatchedBucket } from "./watched_bucket.ts";

/** Versions that share requests in proportion to their weights. */
export type Weighted = { version: number; weight: number }[];

/** A version with its files. */
export interface PublishedVersion {
  /** Counted from 1. */
  version: number;
  /** The name of the version's folder, which is the id of its run. */
  folder: string;
  finished_at: string;
  /** The artifact of its files. */
  artifact: string;
  /** The version's classes, in the order of its logits. */
  labels: string[];
  /** Whether the version is no longer served; its number is not used again. */
  deleted?: true;
}

/** A model. */
export interface PublishedModel {
  name: string;
  versions: PublishedVersion[];
  aliases: Record<string, Weighted>;
}

/** The alias that a name alone stands for. */
const CURRENT = "current";
/** The key of the alias that only one model has at a time; no model has this name. */
const DEFAULT_KEY = "_default";

/** The published models of a cluster. */
export class PublishedModels {
  readonly #bucket: WatchedBucket<PublishedModel>;
  /** The versions by folder, computed on demand after each change. */
  #byFolder: Map<string, PublishedVersion> | undefined;

  private constructor(bucket: WatchedBucket<PublishedModel>) {
    this.#bucket = bucket;
    bucket.listen(() => this.#byFolder = undefined);
  }

  /** Opens the list of models. */
  static async open(cluster: Cluster): Promise<PublishedModels> {
    return new PublishedModels(await WatchedBucket.open(cluster, "models", (it) => it));
  }

  /** All models, as of the last news. */
  all(): PublishedModel[] {
    return [...this.#bucket.entries()].flatMap(([key, model]) =>
      key === DEFAULT_KEY ? [] : [model]
    );
  }

  /** The model that answers requests that name none, with its versions, if one was set. */
  default(): { name: string; versions: Weighted } | undefined {
    const stored = this.#bucket.summary(DEFAULT_KEY);
    const versions = stored?.aliases[CURRENT];
    return stored === undefined || versions === undefined
      ? undefined
      : { name: stored.name, versions };
  }

  /** The version whose files are in a folder of this name. */
  ofFolder(folder: string): PublishedVersion | undefined {
    this.#byFolder ??= new Map(
      this.all().flatMap(({ versions }) => versions.map((version) => [version.folder, version])),
    );
    return this.#byFolder.get(folder);
  }

  /**
   * Publishes the files of a run under the next version number, once. The name goes on to stand for
   * the same versions, unless the new version is promoted and has the same classes.
   */
  async publish(
    name: string,
    version: Omit<PublishedVersion, "version">,
    { promote = false } = {},
  ): Promise<void> {
    await this.#bucket.update(keyOf(name), (model = { name, versions: [], aliases: {} }) => {
      if (model.versions.some(({ folder }) => folder === version.folder)) return undefined;
      const number = Math.max(0, ...model.versions.map((it) => it.version)) + 1;
      const served = model.versions.filter(({ deleted }) => deleted === undefined);
      const versions = [...model.versions, { ...version, version: number }];
      const newest = served.at(-1);
      if (newest === undefined) return { ...model, versions };
      const current = model.aliases[CURRENT] ?? [{ version: newest.version, weight: 1 }];
      const present = served.filter((it) => current.some((at) => at.version === it.version));
      const isLike = present.every(({ labels }) => isDeepStrictEqual(labels, version.labels));
      const pinned = promote && isLike ? [{ version: number, weight: 1 }] : current;
      return { ...model, versions, aliases: { ...model.aliases, [CURRENT]: pinned } };
    });
  }

  /** Writes a model that was kept elsewhere, with its version numbers, unless it exists already. */
  async restore(model: PublishedModel): Promise<void> {
    await this.#bucket.create(keyOf(model.name), model);
  }

  /** Points an alias of a model at versions, or removes it. */
  async setAlias(name: string, alias: string, versions: Weighted | undefined): Promise<void> {
    await this.#bucket.update(keyOf(name), (model) => {
      if (model === undefined) return undefined;
      const { [alias]: _, ...others } = model.aliases;
      return {
        ...model,
        aliases: versions === undefined ? others : { ...others, [alias]: versions },
      };
    });
  }

  /** Sets the model that answers requests that name none. */
  async setDefault(name: string, versions: Weighted | undefined): Promise<void> {
    await this.#bucket.update(DEFAULT_KEY, (): PublishedModel => ({
      name,
      versions: [],
      aliases: versions === undefined ? {} : { [CURRENT]: versions },
    }));
  }

  /** Stops serving a version. */
  async remove(name: string, version: number): Promise<void> {
    await this.#bucket.update(keyOf(name), (model) =>
      model && {
        ...model,
        versions: model.versions.map((it) =>
          it.version === version ? { ...it, deleted: true as const } : it
        ),
      });
  }

  /** Calls a function after each change, whichever process made it. */
  listen(listener: () => void): Disposable {
    return this.#bucket.listen(listener);
  }

  /** Stops listening to changes. */
  close(): void {
    this.#bucket.close();
  }
}

/** The key of a model: NATS takes no key that begins or ends with a dot, or has two in a row. */
export function keyOf(name: string): string {
  return name.replaceAll(".", "=");
}
