/**
 * The models that can be served, by name.
 *
 * @module
 */
import { TextClassifier } from "../models/text_classifier.ts";
import type { Executor } from "../onnx/executor.ts";
import { finishedRuns } from "../training/run_folder.ts";
import type { RunStore } from "../training/run_store.ts";

/** A name that belongs to no model. */
export class UnknownModelError extends Error {
  override name = "UnknownModelError";
}

/** Finds models and keeps those in memory that have been used. */
export class ModelRegistry {
  readonly #executor: Executor;
  readonly #store: RunStore;
  readonly #runsDir: string;
  /** By folder. */
  readonly #loaded = new Map<string, Promise<TextClassifier>>();

  constructor(executor: Executor, store: RunStore, runsDir: string) {
    this.#executor = executor;
    this.#store = store;
    this.#runsDir = runsDir;
  }

  /**
   * The folders of all models by name: the newest run of each name, and the finished runs of the
   * command line under the names of their folders.
   */
  async list(): Promise<Map<string, string>> {
    const models = new Map<string, string>();
    const ids = new Set<string>();
    for (const { id, name, state, result } of await this.#store.list()) {
      ids.add(id);
      if (state !== "succeeded" || result === undefined || models.has(name)) continue;
      models.set(name, result.model_dir);
    }
    for (const { name, dir } of await finishedRuns(this.#runsDir)) {
      if (!ids.has(name) && !models.has(name)) models.set(name, dir);
    }
    return models;
  }

  /**
   * Loads a model, unless it is loaded.
   *
   * @param name May be left out where there is one model only.
   * @throws {UnknownModelError} If the name belongs to none, or is left out and there are several.
   */
  async get(name?: string): Promise<{ name: string; classifier: TextClassifier }> {
    const models = await this.list();
    const chosen = name ?? onlyOne([...models.keys()]);
    const dir = models.get(chosen);
    if (dir === undefined) throw new UnknownModelError(`there is no model '${chosen}'`);
    const loaded = this.#loaded.get(dir) ?? TextClassifier.load(this.#executor, dir);
    this.#loaded.set(dir, loaded);
    // A model that could not be loaded is tried again next time.
    loaded.catch(() => this.#loaded.delete(dir));
    return { name: chosen, classifier: await loaded };
  }
}

function onlyOne(names: readonly string[]): string {
  if (names.length === 1) return names[0]!;
  if (names.length === 0) throw new UnknownModelError("there is no trained model yet");
  const known = names.map((name) => `'${name}'`).join(", ");
  throw new UnknownModelError(`must be given, as there are several: ${known}`);
}
