/**
 * Where the files of runs come from and go to, where those who train do not share a disk with those
 * who serve.
 *
 * @module
 */
import type { Evaluation, Run } from "./run_store.ts";

/** Carries files between a worker's disk and what all members of a cluster share. */
export interface RunFiles {
  /** Brings what a run is trained on: the folder of its data set, and its base. */
  bringInputs(run: Run): Promise<{ dataDir: string; base: string }>;
  /** Brings the last checkpoint of a run, if it has one, into the folder of its next attempt. */
  bringCheckpoint(run: Run, dir: string): Promise<boolean>;
  /**
   * Stores what an attempt has left so far.
   *
   * @returns Its name, for the run's `checkpoint`; nothing where a newer one has replaced it already.
   */
  storeCheckpoint(run: Run, dir: string): Promise<string | undefined>;
  /** Stores a finished model; gives its name, for the run's `model`. */
  storeModel(run: Run, dir: string): Promise<string>;
  /** Gives the model of a run, whose `model` is stored, a version, once. */
  publish(run: Run): Promise<void>;
  /** Takes away checkpoints, those that a newer one has replaced, or all of a run that is over. */
  dropCheckpoint(name: string, replacedBy?: string): Promise<void>;
  /** Takes away all files of a run. */
  remove(run: Run): Promise<void>;
  /** Brings what an evaluation needs: the folder of the model, and the file. */
  bringEvaluated(evaluation: Evaluation): Promise<{ modelDir: string; file: string }>;
  /** Stores the report and predictions of an evaluation from their folder; gives their name. */
  storeReport(evaluation: Evaluation, dir: string): Promise<string>;
  /** Brings them into their folder. */
  bringReport(name: string, dir: string): Promise<void>;
}
