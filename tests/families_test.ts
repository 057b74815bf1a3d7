/**
 * Every family with every way to tune that goes with it: a step trains it, and rows of several
 * adapters in one batch get the logits that each gets alone.
 *
 * @module
 */
import { ok } from "node:assert";
import { fileURLToPath } from "node:url";
import { FAMILIES, familyOf, withLabels } from "../models/family.ts";
import type { ModelConfig } from "../models/formats/config.ts";
import { frozenBase, initialWeights } from "../models/weights.ts";
import { tunerOf, TUNERS } from "../models/tuners/tuner.ts";
import { Executor, type Tensors } from "../onnx/runtime/executor.ts";
import { trainingGraphs } from "../training/graphs.ts";
import { TrainSettings } from "../training/settings.ts";

const FIXTURES = fileURLToPath(new URL("./families", import.meta.url));

/** Small configurations, one of each family but BERT's, which has tests of its own. */
async function configs(): Promise<ModelConfig[]> {
  const found: ModelConfig[] = [];
  for await (const { name } of Deno.readDir(FIXTURES)) {
    if (!name.endsWith(".json")) continue;
    const { config } = JSON.parse(await Deno.readTextFile(`${FIXTURES}/${name}`));
    found.push(withLabels(familyOf(config).config.parse(config), ["a", "b", "c"]));
  }
  return found;
}

/** A batch of two texts, of six and four tokens. */
const BATCH: Tensors = {
  input_ids: integers([[3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 1, 1]]),
  attention_mask: integers([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
  token_type_ids: integers([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]),
  labels: { type: "float32", shape: [2, 3], data: Float32Array.of(1, 0, 0, 0, 0, 1) },
  example_weights: { type: "float32", shape: [2], data: Float32Array.of(0.5, 0.5) },
};

function integers(rows: number[][]): Tensors[string] {
  const shape = [rows.length, rows[0]!.length];
  return { type: "int64", shape, data: BigInt64Array.from(rows.flat(), BigInt) };
}

Deno.test("there is a fixture of every family", async () => {
  const types = new Set((await configs()).map(({ model_type }) => model_type));
  for (const { modelType } of FAMILIES) ok(modelType === "bert" || types.has(modelType), modelType);
});

Deno.test("every way to tune trains every family that it goes with", async (t) => {
  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  for (const config of await configs()) {
    for (const { mode, method } of TUNERS.map(({ mode }) => tunerOf(mode))) {
      const settings = TrainSettings.parse({ mode: mode as TrainSettings["mode"] });
      const peft = method?.configOf({ ...settings, prefixLength: 2 }, config);
      if (peft !== undefined && method!.misfit(peft, config) !== undefined) continue;
      await t.step(`${mode} on ${config.model_type}`, async () => {
        const frozen = method === undefined ? undefined : frozenBase(config);
        const graphs = trainingGraphs(config, frozen, peft);
        const weights = initialWeights(config, 1, graphs.parameters);
        const session = await executor.loadTrainingSession(graphs, weights, {
          optimizer: {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weightDecay: 0,
            maxGradientNorm: 1,
          },
          dropoutSeed: 1,
          largestDimensions: [{ batch: 2, length: 6 }],
        });
        const losses: number[] = [];
        for (let step = 1; step <= 12; step++) {
          losses.push((await session.step([BATCH], step, 0.02)).loss);
        }
        ok(losses.at(-1)! < losses[0]!, losses.join(", "));
        await session.release();
      });
    }
  }
});
