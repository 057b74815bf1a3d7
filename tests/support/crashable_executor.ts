/**
 * An executor for tests of crashes.
 *
 * @module
 */
import { Executor } from "../../onnx/runtime/executor.ts";

/** An executor that can be made to crash. */
export interface CrashableExecutor {
  executor: Executor;
  /** Makes its Worker throw an error that nothing catches. */
  crash: () => void;
  /** Makes the next call of the executor itself end as if WebAssembly had trapped. */
  trap: () => void;
}

/** Starts an executor that can be made to crash. */
export async function crashableExecutor(): Promise<CrashableExecutor> {
  const { Worker } = globalThis;
  let worker!: Worker;
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      worker = this;
    }
  };
  try {
    const executor = await Executor.start({ threads: 1 });
    return {
      executor,
      // Not a call as Comlink writes it: reading it throws.
      crash: () => worker.postMessage({ argumentList: 1 }),
      trap: () => trapNextCall(worker),
    };
  } finally {
    globalThis.Worker = Worker;
  }
}

function trapNextCall(worker: Worker): void {
  const { postMessage } = worker;
  worker.postMessage = ({ id }: { id: string }) => {
    worker.postMessage = postMessage;
    // As Comlink passes on an error.
    const error = { name: "RuntimeError", message: "unreachable", stack: "" };
    const value = { isError: true, value: error };
    const data = { id, type: "HANDLER", name: "throw", value };
    worker.dispatchEvent(new MessageEvent("message", { data }));
  };
}
