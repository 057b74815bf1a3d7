/**
 * The models that can be served, by name.
 *
 * @module
 */
import { join } from "node:path";
import { TextClassifier } from "../models/text_classifier.ts";
import type { Executor } from "../onnx/executor.ts";
import { type FinishedRun, finishedRuns } from "../training/run_folder.ts";
import type { RunStore } from "../training/run_store.ts";

/** A name that belongs to no model. */
export class UnknownModelError extends Error {
  override name = "UnknownModelError";
}

/** A model that is loaded. */
export interface LoadedModel {
  name: string;
  dir: string;
  classifier: TextClassifier;
}

/** Finds models and keeps those in memory that have been used. */
export class ModelRegistry {
  readonly #executor: Executor;
  readonly #store: RunStore;
  readonly #runsDir: string;
  /** By folder and the moment at which the run finished. */
  readonly #loaded = new Map<string, Promise<TextClassifier>>();

  constructor(executor: Executor, store: RunStore, runsDir: string) {
    this.#executor = executor;
    this.#store = store;
    this.#runsDir = runsDir;
  }

  /**
   * Loads a model, unless it is loaded.
   *
   * @param name A run's id, the name that was given to a run (of several the newest), or the name of
   * a folder with a finished run; may be left out where there is one model only.
   * @throws {UnknownModelError} If the name belongs to none, or is left out and there are several.
   */
  async get(name?: string): Promise<LoadedModel> {
    const models = await this.#list();
    const chosen = name ?? onlyName(models);
    const run = models.get(chosen);
    if (run === undefined) throw new UnknownModelError(`there is no model '${chosen}'`);
    const key = `${join(run.dir)} ${run.finishedAt.getTime()}`;
    const loaded = this.#loaded.get(key) ?? TextClassifier.load(this.#executor, run.dir);
    this.#loaded.set(key, loaded);
    // A model that could not be loaded is tried again next time.
    loaded.catch(() => this.#loaded.delete(key));
    return { name: chosen, dir: run.dir, classifier: await loaded };
  }

  /** The finished runs by the names of their folders, and by the names that they were given. */
  async #list(): Promise<Map<string, FinishedRun>> {
    const finished = await finishedRuns(this.#runsDir);
    const models = new Map(finished.map((run) => [run.name, run]));
    for (const { id, name } of await this.#store.list()) {
      const run = models.get(id);
      if (run !== undefined && !models.has(name)) models.set(name, run);
    }
    return models;
  }
}

function onlyName(models: ReadonlyMap<string, FinishedRun>): string {
  const [first, ...others] = models;
  if (first === undefined) throw new UnknownModelError("there is no trained model yet");
  if (others.every(([, run]) => run === first[1])) return first[0];
  const known = [...models.keys()].map((name) => `'${name}'`).join(", ");
  throw new UnknownModelError(`must be given, as there are several: ${known}`);
}
