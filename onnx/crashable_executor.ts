/**
 * What tests of crashes need.
 *
 * @module
 */
import { Executor } from "./executor.ts";

/** An executor whose Worker can be made to crash. */
export async function crashableExecutor(): Promise<{ executor: Executor; crash: () => void }> {
  const { Worker } = globalThis;
  const workers: Worker[] = [];
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      workers.push(this);
    }
  };
  try {
    const executor = await Executor.start({ threads: 1 });
    // Not a call as Comlink writes it: reading it throws where nothing catches.
    return { executor, crash: () => workers[0]!.postMessage({ argumentList: 1 }) };
  } finally {
    globalThis.Worker = Worker;
  }
}
