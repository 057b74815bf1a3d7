/**
 * Moves the files of runs between machines, where those that train do not share a disk with those
 * that serve.
 *
 * @module
 */
import type { Evaluation, Run } from "./run_store.ts";

/** Carries files between a worker's disk and the storage that all members of a cluster share. */
export interface RunFiles {
  /**
   * Brings the inputs of a run: the folder of its data set, and its base. They stay until the
   * result is disposed of.
   */
  bringInputs(run: Run): Promise<{ dataDir: string; base: string } & Disposable>;
  /** Brings a run's last checkpoint into its next attempt's folder; returns whether it had one. */
  bringCheckpoint(run: Run, dir: string): Promise<boolean>;
  /**
   * Stores the checkpoints of an attempt so far.
   *
   * @returns Its name, for the run's `checkpoint`; `undefined` if there is none to go on from, as
   * where a newer one is just replacing it.
   */
  storeCheckpoint(run: Run, dir: string): Promise<string | undefined>;
  /** Stores a finished model, and returns its name, for the run's `model`. */
  storeModel(run: Pick<Run, "id" | "attempt">, dir: string): Promise<string>;
  /** Publishes the stored `model` of a run as a version, once. */
  publish(run: Run): Promise<void>;
  /** Deletes the checkpoints that a newer one has replaced, or all those of a run that is over. */
  dropCheckpoint(name: string, replacedBy?: string): Promise<void>;
  /** Deletes all files of a run. */
  remove(run: Run): Promise<void>;
  /**
   * Brings the inputs of an evaluation: the folder of the model, and the file. They stay until the
   * result is disposed of.
   */
  bringEvaluated(evaluation: Evaluation): Promise<{ modelDir: string; file: string } & Disposable>;
  /** Stores the report and predictions of an evaluation from their folder; returns their name. */
  storeReport(evaluation: Evaluation, dir: string): Promise<string>;
  /** Brings the report and predictions of an evaluation into their folder. */
  bringReport(name: string, dir: string): Promise<void>;
}
