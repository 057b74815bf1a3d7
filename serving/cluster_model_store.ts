/**
 * The versions and aliases of a cluster's models.
 *
 * @module
 */
import type { ClusterFiles } from "../orchestration/cluster/cluster_files.ts";
import type { PublishedModels } from "../orchestration/cluster/published_models.ts";
import { DEFAULT_ALIAS } from "./model_reference.ts";
import type { ModelStore, SharedModels, StoredAlias, StoredVersion } from "./model_store.ts";

/** Stores versions and aliases among the models of a cluster. */
export class ClusterModelStore implements ModelStore {
  readonly shared: SharedModels;
  readonly #models: PublishedModels;

  constructor(models: PublishedModels, files: ClusterFiles) {
    this.#models = models;
    this.shared = {
      bring: async (folder) => void await files.bringModel(folder),
      listen: (listener) => models.listen(listener),
    };
  }

  // deno-lint-ignore require-await
  async versions(): Promise<StoredVersion[]> {
    return this.#models.all().flatMap(({ name, versions }) =>
      versions.map(({ version, folder, finished_at, artifact, deleted }) => ({
        name,
        version,
        folder,
        finished_at,
        identity: artifact,
        ...deleted && { deleted },
      }))
    );
  }

  // deno-lint-ignore require-await
  async aliases(): Promise<StoredAlias[]> {
    const aliases = this.#models.all().flatMap(({ name, aliases }) =>
      Object.entries(aliases).map(([alias, versions]) => ({ name, alias, versions }))
    );
    const chosen = this.#models.default();
    return chosen === undefined ? aliases : [...aliases, { ...chosen, alias: DEFAULT_ALIAS }];
  }

  async putVersions(versions: readonly StoredVersion[]): Promise<void> {
    for (const { name, version, deleted } of versions) {
      // New versions get their numbers where they are published.
      if (deleted) await this.#models.remove(name, version);
    }
  }

  async putAlias({ name, alias, versions }: StoredAlias): Promise<void> {
    if (alias === DEFAULT_ALIAS) await this.#models.setDefault(name, versions);
    else await this.#models.setAlias(name, alias, versions);
  }

  async deleteAlias({ name, alias }: StoredAlias): Promise<void> {
    if (alias === DEFAULT_ALIAS) await this.#models.setDefault(name, undefined);
    else await this.#models.setAlias(name, alias, undefined);
  }

  close(): void {}

  [Symbol.dispose](): void {}
}
