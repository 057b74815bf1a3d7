/**
 * Tasks that must not overlap.
 *
 * @module
 */

/** Runs tasks one after the other, in the order of their calls. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a task after those before it, however they ended. */
  run<Result>(task: () => Result | Promise<Result>): Promise<Result> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}
