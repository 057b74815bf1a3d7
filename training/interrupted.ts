/**
 * The error with which a run ends that was told to stop.
 *
 * @module
 */

/** A run was told to stop; it can be resumed. */
export class TrainingInterrupted extends Error {
  /** `TrainingInterrupted` */
  override name = "TrainingInterrupted";
  /** The number of steps that are done. */
  readonly step: number;

  /**
   * Says where the run can be resumed.
   *
   * @param outDir The folder of the run.
   */
  constructor(step: number, outDir: string) {
    super(`Stopped after step ${step}; '${outDir}' holds all that is needed to go on`);
    this.step = step;
  }
}
