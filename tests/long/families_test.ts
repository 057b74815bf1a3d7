/**
 * Every family with every way to tune that goes with it: a step trains it, and rows of several
 * adapters in one batch get the logits that each gets alone.
 *
 * @module
 */
import { ok } from "node:assert";
import { fileURLToPath } from "node:url";
import { FAMILIES, familyOf, readConfig, withLabels } from "../../models/family.ts";
import { collate } from "../../data/batches.ts";
import { Random } from "../../lib/random.ts";
import type { StoredAdapter } from "../../models/formats/adapter.ts";
import { saveClassifier } from "../../models/formats/classifier_folder.ts";
import type { ModelConfig } from "../../models/formats/config.ts";
import { AdapterBank } from "../../models/inference/adapter_bank.ts";
import { tablesOf } from "../../models/inference/bank_tables.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { exportModel } from "../../models/onnx_model.ts";
import { frozenBase, parameterShapes } from "../../models/parameters.ts";
import { initialWeights, type Weights } from "../../models/weights.ts";
import { methodOf, tunerOf, TUNERS } from "../../models/tuners/tuner.ts";
import { elementCount } from "../../onnx/graph/shape.ts";
import { Executor, type Tensors, type TrainingOptions } from "../../onnx/runtime/executor.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { trainingGraphs } from "../../training/graphs.ts";
import { pretrainingGraphs } from "../../training/pretraining/graphs.ts";
import { TrainSettings } from "../../training/settings.ts";
import { inEmptyFolder } from "../support/graft.ts";
import { relativeError } from "../support/relative_error.ts";

const FIXTURES = fileURLToPath(new URL("../families", import.meta.url));

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

/** How a session is loaded. */
const OPTIONS: TrainingOptions = {
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradientNorm: 1 },
  dropoutSeed: 1,
  largestDimensions: [{ batch: 2, length: 6 }],
};

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  .concat(Array.from({ length: 25 }, (_, i) => `w${i}`));

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
        const session = await executor.loadTrainingSession(graphs, weights, OPTIONS);
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

/** Weights that are not small, so that each tells in the logits. */
function randomWeights(parameters: readonly ParameterShape[], seed: number): Weights {
  const random = new Random(seed);
  return Object.fromEntries(parameters.map(({ name, shape }) => {
    const isScale = shape.length === 1 && name.endsWith(".weight");
    const draw = () => Number(isScale) + 0.3 * random.normal();
    return [name, Float32Array.from({ length: elementCount(shape) }, draw)];
  }));
}

/** The logits of texts by an exported model. */
async function logitsOf(executor: Executor, model: Uint8Array, ids: readonly number[][]) {
  const session = await executor.loadSession(model);
  const { logits } = await session.run(collate(ids, 1));
  await session.release();
  return logits!.data as Float32Array;
}

const IDS = [[3, 4, 5, 6, 7, 8], [9, 10, 11, 12]];

Deno.test("every family is exported, whole and in 8 bits", async (t) => {
  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  for (const config of await configs()) {
    await t.step(config.model_type, async () => {
      const weights = randomWeights(parameterShapes(config), 1);
      const [exact, rounded] = [
        await logitsOf(executor, exportModel(config, weights), IDS),
        await logitsOf(executor, exportModel(config, weights, { dtype: "q8" }), IDS),
      ];
      const session = await executor.loadTrainingSession(trainingGraphs(config), weights, OPTIONS);
      const { logits } = await session.run(BATCH);
      await session.release();
      const error = relativeError(exact, logits!.data as Float32Array);
      ok(error < 1e-5, `differs by ${error}`);
      const loss = relativeError(rounded, exact);
      ok(loss > 0 && loss < 0.1, `8 bits lose ${loss}`);
    });
  }
});

Deno.test("every family learns to guess masked tokens", async (t) => {
  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  const masked: Tensors = {
    masked_positions: { type: "int64", shape: [2], data: BigInt64Array.of(2n, 7n) },
    masked_labels: { type: "int64", shape: [2], data: BigInt64Array.of(5n, 10n) },
    masked_weights: { type: "float32", shape: [2], data: Float32Array.of(0.5, 0.5) },
  };
  for (const config of await configs()) {
    await t.step(config.model_type, async () => {
      const graphs = pretrainingGraphs(config);
      const weights = initialWeights(config, 1, graphs.parameters);
      const session = await executor.loadTrainingSession(graphs, weights, OPTIONS);
      const { labels: _, example_weights: __, ...texts } = BATCH;
      const feeds: Tensors = { ...texts, ...masked };
      const losses: number[] = [];
      for (let step = 1; step <= 12; step++) {
        losses.push((await session.step([feeds], step, 0.02)).loss);
      }
      ok(losses.at(-1)! < losses[0]! / 2, losses.join(", "));
      await session.release();
    });
  }
});

Deno.test("adapters of every kind share a batch on every family", async (t) => {
  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  for (const base of await configs()) {
    await t.step(base.model_type, async () => {
      await inEmptyFolder(async (dir) => {
        const tokenizer = Tokenizer.fromVocabulary(VOCABULARY, { modelMaxLength: 16 });
        const shared = randomWeights(parameterShapes(base), 1);
        await saveClassifier(dir, { config: base, tokenizer, weights: shared });
        const config = await readConfig(dir);
        const adapters = TUNERS.flatMap(({ mode }): StoredAdapter[] => {
          const { method } = tunerOf(mode);
          const settings = TrainSettings.parse({
            mode: mode as TrainSettings["mode"],
            loraRank: 3,
          });
          const peft = method?.configOf({ ...settings, prefixLength: 2 }, config);
          if (peft === undefined || method!.misfit(peft, config) !== undefined) return [];
          const { pooler } = familyOf(config).names;
          const withPooler = pooler !== undefined && method!.savesModules
            ? [method!.configOf({ ...settings, loraTargets: "all-linear" }, config, [pooler])]
            : [];
          return [peft, ...withPooler].map((peft, i) => {
            const own = parameterShapes(config, peft)
              .filter(({ name }) => !frozenBase(config, peft).has(name));
            const weights = randomWeights(own, mode.length + i);
            return { dir: mode + i, base: { name: dir }, peft, labelCount: 3, config, weights };
          });
        });
        const bank = await AdapterBank.load(executor, dir, { tables: tablesOf(adapters, config) });
        for (const adapter of adapters) await bank.add(adapter.dir, adapter);
        const rows = adapters.map(({ dir }, i) => ({ adapter: dir, ids: IDS[i % 2]! }));
        const logits = await bank.logits(rows);
        await bank.release();
        ok(adapters.length >= 2);
        for (const [i, { peft, weights, dir: mode }] of adapters.entries()) {
          const all = { ...shared, ...weights };
          const merged = methodOf(peft).merge?.(peft, config, all);
          const alone = [
            exportModel(config, all, { peft }),
            ...merged ? [exportModel(config, merged)] : [],
          ];
          for (const model of alone) {
            const expected = await logitsOf(executor, model, [rows[i]!.ids]);
            const error = relativeError(logits[i]!, expected);
            ok(error < 1e-5, `${mode} differs by ${error}`);
          }
        }
      });
    });
  }
});
