import { deepStrictEqual, rejects } from "node:assert";
import type { InferenceSession } from "../runtime/executor.ts";
import { gradient } from "./gradient.ts";
import { Graph, type TensorData } from "./graph.ts";
import { cast, concat, densify, expand, mul, reduceSum, reshape, slice } from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { testOnDevices } from "../../tests/support/devices.ts";

/** A graph that needs dimensions, their products, sums and differences, and integers as numbers. */
function model(derivedInputs: boolean): Uint8Array {
  const graph = new Graph({ derivedInputs });
  const ids = graph.input("ids", "int64", ["batch", "length"]);
  const table = graph.input("table", "float32", [9, 2]);
  const mask = cast(ids, "float32");
  const rows = expand(slice(table, 0, 0, "length"), ["batch", "length", 2]);
  const longer = concat([expand(graph.scalar(1), ["batch", 3, 2]), rows], 1);
  const flat = reshape(longer, ["batch*(3+length)", 2]);
  const again = reshape(flat, ["batch", "(3+length)", 2]);
  const loss = mul(reduceSum(mul(again, again), [0, 1, 2]), reduceSum(mask, [0, 1]));
  graph.output("mask", mask);
  graph.output("loss", loss);
  graph.output("gradient", densify(gradient(loss, [table])[0]!));
  return encodeModel(graph);
}

function feeds(batch: number, length: number): Record<string, TensorData> {
  const count = batch * length;
  return {
    ids: {
      type: "int64",
      shape: [batch, length],
      data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 5)),
    },
    table: { type: "float32", shape: [9, 2], data: Float32Array.from({ length: 18 }, (_, i) => i) },
  };
}

async function results(session: InferenceSession, batch: number, length: number) {
  const outputs = await session.run(feeds(batch, length));
  return Object.entries(outputs).map(([name, { shape, data }]) => [name, [...shape], [...data]]);
}

testOnDevices("derived inputs are what nodes would compute", async (executor) => {
  const [derived, computed] = [
    await executor.loadSession(model(true)),
    await executor.loadSession(model(false)),
  ];
  for (const [batch, length] of [[2, 4], [1, 9], [3, 1]] as const) {
    deepStrictEqual(
      await results(derived, batch, length),
      await results(computed, batch, length),
      `${batch}, ${length}`,
    );
  }
});

testOnDevices("derived inputs tell which dimension is missing", async (executor) => {
  const session = await executor.loadSession(model(true));
  const { table } = feeds(1, 1);
  await rejects(session.run({ table: table! }), {
    name: "RangeError",
    message: /^Cannot bind dimension '(batch|length)': no value$/,
  });
});
