import { deepStrictEqual, match, ok, rejects } from "node:assert";
import { crashableExecutor } from "../../tests/support/crashable_executor.ts";
import { Executor, type InferenceSession } from "./executor.ts";
import { Graph, type TensorData } from "../graph/graph.ts";
import { expand, matMul, mul, reduceSum } from "../graph/operators.ts";
import { encodeModel } from "../graph/proto.ts";

function scalar(value: number): TensorData {
  return { type: "float32", shape: [], data: Float32Array.of(value) };
}

/** A graph that multiplies `x` by a factor. */
function scaling(factor: number): Uint8Array {
  const graph = new Graph();
  graph.output("y", mul(graph.input("x", "float32", []), factor));
  return encodeModel(graph);
}

/** A graph that sums the product of two matrices of ones, `[n, n]`: `n ** 3`. */
function onesProduct(): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["n", 1]);
  const ones = expand(x, ["n", "n"]);
  graph.output("y", reduceSum(matMul(ones, ones), [0, 1]));
  return encodeModel(graph);
}

function ones(n: number): TensorData {
  return { type: "float32", shape: [n, 1], data: new Float32Array(n).fill(1) };
}

async function y(session: InferenceSession, x: TensorData): Promise<number> {
  const { y } = await session.run({ x });
  return Number(y!.data[0]);
}

Deno.test("Executor answers calls in the order in which they are made", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(onesProduct());
  const answers: number[] = [];
  const sizes = [512, 2, 256, 8, 4];
  await Promise.all(
    sizes.map(async (n) => {
      answers.push(await y(session, ones(n)));
    }),
  );
  deepStrictEqual(answers, sizes.map((n) => n ** 3));
});

Deno.test("Executor keeps calls that overlap apart", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const [tens, threes] = await Promise.all([
    executor.loadSession(scaling(10)),
    executor.loadSession(scaling(3)),
  ]);
  const inputs = Array.from({ length: 50 }, (_, i) => i);
  const [byTen, byThree] = await Promise.all([
    Promise.all(inputs.map((x) => y(tens, scalar(x)))),
    Promise.all(inputs.map((x) => y(threes, scalar(x)))),
  ]);
  deepStrictEqual(byTen, inputs.map((x) => 10 * x));
  deepStrictEqual(byThree, inputs.map((x) => 3 * x));
});

Deno.test("Executor leaves the main thread free", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(onesProduct());
  let fired = false;
  const timer = setTimeout(() => fired = true, 0);
  deepStrictEqual(await y(session, ones(1024)), 2 ** 30);
  clearTimeout(timer);
  ok(fired);
});

Deno.test("Executor does not touch the feeds, and leaves out those that the graph lacks", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(scaling(10));
  const x = scalar(4);
  const { y } = await session.run({ x, other: scalar(1) });
  deepStrictEqual([...y!.data], [40]);
  deepStrictEqual([...x.data], [4]);
});

Deno.test("Executor names the input that is missing", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(scaling(10));
  await rejects(session.run({ z: scalar(1) }), {
    name: "RangeError",
    message: "Cannot run the graph: no input 'x'",
  });
});

Deno.test("Executor goes on after an error", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(scaling(10));
  const integer: TensorData = { type: "int64", shape: [], data: BigInt64Array.of(1n) };
  const results = await Promise.allSettled([
    session.run({}),
    session.run({ x: integer }),
    executor.loadSession(Uint8Array.of(1, 2, 3)),
    y(session, scalar(5)),
  ]);
  deepStrictEqual(results.map(({ status }) => status), [
    "rejected",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  deepStrictEqual(await y(session, scalar(6)), 60);
  deepStrictEqual(await y(await executor.loadSession(scaling(3)), scalar(6)), 18);
});

Deno.test("Executor frees one graph and keeps the others", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const tens = await executor.loadSession(scaling(10));
  const threes = await executor.loadSession(scaling(3));
  await tens.release();
  await rejects(tens.run({ x: scalar(1) }));
  deepStrictEqual(await y(threes, scalar(7)), 21);
});

Deno.test("Executor lets nobody wait when its Worker crashes or is closed", async () => {
  const { executor: crashing, crash } = await crashableExecutor();
  const session = await crashing.loadSession(onesProduct());
  crash();
  const calls = [y(session, ones(2)), session.release(), crashing.loadSession(scaling(2))];
  // Between the crash and its end the Worker may still answer.
  for (const outcome of await Promise.allSettled<unknown>(calls)) {
    if (outcome.status === "fulfilled") continue;
    match(String(outcome.reason), /^ExecutorEndedError: the executor crashed: /);
  }
  await crashing.whenEnded;
  await rejects(y(session, ones(2)), { name: "ExecutorEndedError" });

  const closing = await Executor.start({ threads: 1 });
  const closed = await closing.loadSession(onesProduct());
  await closing.close();
  await rejects(y(closed, ones(2)), { message: "the executor was closed" });
});

Deno.test("Executor ends when WebAssembly has trapped", async () => {
  const { executor, trap } = await crashableExecutor();
  const session = await executor.loadSession(scaling(2));
  trap();
  await rejects(executor.loadSession(scaling(3)), /unreachable$/);
  ok(executor.ended);
  await rejects(y(session, ones(2)), { name: "ExecutorEndedError" });
  await executor.whenEnded;
});

/** A Worker that answers each call as Comlink passes on an error. */
function throwingWorker(thrown: string): string {
  return `data:text/javascript,onmessage = ({ data: { id } }) =>
    postMessage({ id, type: "HANDLER", name: "throw", value: ${thrown} })`;
}

for (
  const { failure, worker, reason } of [
    {
      failure: "throws an error",
      worker: throwingWorker(`{ isError: true, value: { name: "Error", message: "no file" } }`),
      reason: /^Cannot use device 'wasm': onnxruntime did not load: no file$/,
    },
    {
      failure: "throws what is no error",
      worker: throwingWorker(`{ isError: false, value: null }`),
      reason: /: null$/,
    },
    {
      failure: "does not start",
      worker: `data:text/javascript,throw new Error("no memory")`,
      reason: /no memory$/,
    },
  ]
) {
  Deno.test(`Executor leaves no Worker behind that ${failure}, and tells why`, async () => {
    const { Worker } = globalThis;
    let terminated = 0;
    globalThis.Worker = class extends Worker {
      constructor() {
        super(worker, { type: "module" });
      }
      override terminate() {
        terminated++;
        super.terminate();
      }
    };
    try {
      await rejects(Executor.start(), (error: Error) => {
        deepStrictEqual(error.name, "DeviceError");
        match(error.message, reason);
        return true;
      });
    } finally {
      globalThis.Worker = Worker;
    }
    deepStrictEqual(terminated, 1);
  });
}

Deno.test("Executor ends when WebAssembly has too little memory", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(onesProduct());
  // 10 GB.
  await rejects(y(session, ones(50_000)), {
    name: "OutOfMemoryError",
    message: "wasm ran out of memory",
  });
  ok(executor.ended);
});

Deno.test("Executor can be closed more than once", async () => {
  await using executor = await Executor.start({ threads: 1 });
  await executor.close();
  await executor.close();
});
