/**
 * LoRA (Hu et al., 2022): products of two small matrices are added to layers of a frozen base.
 *
 * @module
 */
import { z } from "zod";
import { between, positive, whole } from "../../lib/number_schemas.ts";
import { Random } from "../../lib/random.ts";
import { Graph, type Tensor } from "../../onnx/graph/graph.ts";
import { add, gemm, matMul, reshape, slice, transpose } from "../../onnx/graph/operators.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { familyOf } from "../family.ts";
import { type ModelConfig, size } from "../formats/config.ts";
import type { StoredTensor } from "../formats/safetensors.ts";
import { classifierLogits } from "../heads/classifier.ts";
import type { Projection } from "../layers.ts";
import type { Weights } from "../weights.ts";
import { frozenBaseFaults } from "./frozen_base.ts";
import { HEAD_MODULES, isSaved } from "./modules_to_save.ts";
import type { AdapterMethod, PeftConfig, Tuner } from "./tuner.ts";

/** The settings of a run that concern LoRA. */
export const LORA_SETTINGS = {
  loraRank: whole(1, 1024).default(8).describe("The rank of LoRA's products"),
  loraAlpha: positive().default(16)
    .describe("LoRA's products are multiplied by this, divided by the rank"),
  loraDropout: between(0, 0.9).default(0).describe("Dropout of what goes into LoRA's products"),
  loraTargets: z.string().min(1, "must name layers").default("query,value").describe(
    "The layers that LoRA changes: query, key and value, the ends of other layers' names, or all-linear",
  ),
};

/** LoRA's matrices; keys are those of PEFT's `LoraConfig`. */
export interface LoraConfig extends PeftConfig {
  peft_type: "LORA";
  r: number;
  lora_alpha: number;
  lora_dropout: number;
  /** The ends of layers' names, a regular expression for whole names, or `all-linear`. */
  target_modules: string[] | string;
  /** Whether products are divided by the root of the rank (Kalajdzievski, 2023). */
  use_rslora: boolean;
  modules_to_save: readonly string[];
}

/** A linear layer that LoRA can change. */
interface LinearLayer {
  name: string;
  from: number;
  to: number;
}

const ALL_LINEAR = "all-linear";

const unsupported = (what: string) => ({ error: `must be left out: Graft knows no ${what}` });

/** The stored configuration; fields that would change the meaning of the matrices are refused. */
const StoredConfig = z.object({
  peft_type: z.literal("LORA"),
  r: size,
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.union([z.array(z.string()).min(1), z.string().min(1)]),
  use_rslora: z.boolean().default(false),
  use_dora: z.literal(false, unsupported("DoRA")).default(false),
  use_qalora: z.literal(false, unsupported("QALoRA")).default(false),
  bias: z.literal("none", unsupported("trained biases")).default("none"),
  lora_bias: z.literal(false, unsupported("biases of LoRA's matrices")).default(false),
  fan_in_fan_out: z.literal(false, unsupported("transposed layers")).default(false),
  rank_pattern: z.record(z.string(), z.never(unsupported("ranks by layer"))).default({}),
  alpha_pattern: z.record(z.string(), z.never(unsupported("alphas by layer"))).default({}),
  modules_to_save: z.array(z.string()).nullish().transform((modules) => modules ?? []),
}).transform((
  { peft_type, r, lora_alpha, lora_dropout, target_modules, use_rslora, modules_to_save },
) => ({
  peft_type,
  r,
  lora_alpha,
  lora_dropout,
  target_modules,
  use_rslora,
  modules_to_save,
}));

const method: AdapterMethod<LoraConfig> = {
  peftType: "LORA",
  describe: ({ loraRank, loraTargets }) =>
    `LoRA's matrices of rank ${loraRank} beside the layers ${loraTargets.replaceAll(",", ", ")}`,
  peftVersions: "this was checked with PEFT 0.21 and transformers 5.24",
  savesModules: true,

  configOf: ({ loraRank, loraAlpha, loraDropout, loraTargets }, base, modulesToSave = []) => {
    const saved = {
      peft_type: "LORA" as const,
      modules_to_save: [...HEAD_MODULES, ...modulesToSave],
    };
    return {
      ...saved,
      r: loraRank,
      lora_alpha: loraAlpha,
      lora_dropout: loraDropout,
      target_modules: targetsOf(loraTargets, base, saved),
      use_rslora: false,
    };
  },
  misfit: (config, base) => {
    const { target_modules: targets } = config;
    const names = linearLayers(base).map(({ name }) => name);
    const missing = typeof targets === "string"
      ? [targets].filter(() => !names.some((name) => isTarget(config, name)))
      : targets.filter((target) => !names.some((name) => endsWith(name, target)));
    if (missing.length === 0) {
      return targetLayers(config, base).length > 0
        ? undefined
        : "all layers that it names are trained whole";
    }
    const known = new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)));
    return `the base has no layer '${missing[0]}'; there are ${[...known].join(", ")}`;
  },
  virtualTokens: () => 0,
  changes: (config, { parameter, dropout }) => ({
    project: (projected, x, name) => {
      if (!isTarget(config, name)) return projected;
      const [from, to] = [x.shape.at(-1) as number, projected.shape.at(-1) as number];
      const [a, b] = shapesOf(config, { name, from, to })
        .map(({ name, shape }) => parameter(name, shape));
      const dropped = dropout?.apply(x, config.lora_dropout) ?? x;
      const inner = gemm(dropped, a!, undefined, { transposeB: true });
      return gemm(inner, b!, projected, { transposeB: true, alpha: scaleOf(config) });
    },
  }),
  initialWeights: (config, base, { seed }) => {
    const random = new Random(seed, 1);
    const weights: Weights = {};
    for (const layer of targetLayers(config, base.config)) {
      const [a, b] = shapesOf(config, layer);
      // As PyTorch initialises a linear layer; the product starts at 0.
      const limit = 1 / Math.sqrt(layer.from);
      weights[a!.name] = Float32Array.from(
        { length: config.r * layer.from },
        () => (2 * random.uniform() - 1) * limit,
      );
      weights[b!.name] = new Float32Array(layer.to * config.r);
    }
    return Promise.resolve(weights);
  },

  stored: StoredConfig,
  storedConfig: ({ modules_to_save, ...config }) => ({
    ...config,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    modules_to_save,
  }),
  baseModelPrefix: "base_model.model.",
  toStored: (config, weights) =>
    Object.entries(weights).filter(([name]) => isLora(name)).map(([name, data]) => {
      const isA = name.endsWith(A);
      const other = data.length / config.r;
      const shape = isA ? [config.r, other] : [other, config.r];
      return [method.baseModelPrefix + name, { shape, data }] as [string, StoredTensor];
    }),
  fromStored: (config, tensors) => {
    const names = tensors.names().filter((name) => name.includes(".lora_"));
    return Object.fromEntries(names.map((name) => {
      const shape = name.endsWith(A) ? [config.r, undefined] : [undefined, config.r];
      return [name.slice(method.baseModelPrefix.length), tensors.read(name, shape)];
    }));
  },
  merge: (config, base, weights) => {
    const merged: Weights = {};
    for (const [name, values] of Object.entries(weights)) {
      if (!isLora(name)) merged[name] = values;
    }
    const scale = scaleOf(config);
    for (const layer of targetLayers(config, base)) {
      const [a, b] = shapesOf(config, layer).map(({ name }) => weights[name]!);
      const name = `${layer.name}.weight`;
      merged[name] = withProduct(merged[name]!, a!, b!, { ...layer, rank: config.r, scale });
    }
    return merged;
  },

  bankRows: (config, base, weights) =>
    Object.fromEntries(
      ownTables(config, base).map(([table, layers]) => [table, {
        width: widthOf(layers),
        values: rowsOf(config, layers, weights),
      }]),
    ),
};

/** See {@link Tuner}. */
export const lora: Tuner = {
  mode: "lora",
  trains: "matrices of low rank beside some of its layers",
  faults: (settings) => frozenBaseFaults("lora", settings),
  defaults: () => ({ learningRate: 2e-3, epochs: 10 }),
  method,
};

const A = ".lora_A.weight";
const B = ".lora_B.weight";

function isLora(name: string): boolean {
  return name.endsWith(A) || name.endsWith(B);
}

/** The parameters of a layer: the input is multiplied by the first, the result by the second. */
function shapesOf({ r }: LoraConfig, { name, from, to }: LinearLayer): ParameterShape[] {
  return [{ name: name + A, shape: [r, from] }, { name: name + B, shape: [to, r] }];
}

/** The factor of the product of a layer's matrices. */
function scaleOf({ r, lora_alpha, use_rslora }: LoraConfig): number {
  return lora_alpha / (use_rslora ? Math.sqrt(r) : r);
}

/** The targets of `--lora-targets` under the base's own names. */
function targetsOf(targets: string, base: ModelConfig, saved: PeftConfig): string[] {
  if (targets === ALL_LINEAR) return adaptableLayers(base, saved).map(({ name }) => name);
  const { attention } = familyOf(base).names;
  const names: Partial<Record<string, string>> = { ...attention };
  return [...new Set(targets.split(",").map((target) => names[target.trim()] ?? target.trim()))];
}

/** Whether LoRA changes a layer, as PEFT reads `target_modules`. */
function isTarget(config: LoraConfig, name: string): boolean {
  const { target_modules: targets } = config;
  if (isSaved(config, name)) return false;
  if (typeof targets !== "string") return targets.some((target) => endsWith(name, target));
  return targets === ALL_LINEAR || new RegExp(`^(?:${targets})$`).test(name);
}

function endsWith(name: string, target: string): boolean {
  return name === target || name.endsWith(`.${target}`);
}

/** All linear layers of a base in the order of their first use. */
function linearLayers(base: ModelConfig): LinearLayer[] {
  const graph = new Graph();
  const layers = new Map<string, LinearLayer>();
  classifierLogits(graph, {
    config: base,
    parameter: (name, shape) => graph.input(name, "float32", shape),
    project: (projected, x, name) => {
      const [from, to] = [x.shape.at(-1) as number, projected.shape.at(-1) as number];
      layers.set(name, { name, from, to });
      return projected;
    },
  });
  return [...layers.values()];
}

/** The linear layers of a base that are not trained whole. */
function adaptableLayers(base: ModelConfig, config: PeftConfig): LinearLayer[] {
  return linearLayers(base).filter(({ name }) => !isSaved(config, name));
}

function targetLayers(config: LoraConfig, base: ModelConfig): LinearLayer[] {
  return linearLayers(base).filter(({ name }) => isTarget(config, name));
}

/** A layer's weights `[to, from]` plus the scaled product of `b [to, rank]` and `a [rank, from]`. */
function withProduct(
  weights: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { from, to, rank, scale }: LinearLayer & { rank: number; scale: number },
): Float32Array {
  const merged = new Float32Array(weights);
  for (let row = 0; row < to; row++) {
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[row * rank + k]!;
      for (let column = 0; column < from; column++) {
        merged[row * from + column]! += factor * a[k * from + column]!;
      }
    }
  }
  return merged;
}

/**
 * The tables of a bank, one for each kind of layers, such as all queries, with those layers. A row
 * is one of the rank's parts: a row of the first matrix and a column of the second of each layer.
 */
function tablesOf(base: ModelConfig): Map<string, LinearLayer[]> {
  return Map.groupBy(linearLayers(base), ({ name }) => bankTable(name));
}

/** The tables that an adapter has rows in. */
function ownTables(config: LoraConfig, base: ModelConfig): [string, LinearLayer[]][] {
  return [...tablesOf(base)]
    .filter(([, layers]) => layers.some(({ name }) => isTarget(config, name)));
}

/** The table of a layer: the name of its kind, without the number of the encoder's layer. */
function bankTable(name: string): string {
  return `lora_${name.replace(/\.\d+\./, ".")}`;
}

function widthOf(layers: readonly LinearLayer[]): number {
  return layers.reduce((width, { from, to }) => width + from + to, 0);
}

function rowsOf(
  config: LoraConfig,
  layers: readonly LinearLayer[],
  weights: Weights,
): Float32Array {
  const { r } = config;
  const scale = scaleOf(config);
  const width = widthOf(layers);
  const rows = new Float32Array(r * width);
  let start = 0;
  for (const layer of layers) {
    const { from, to } = layer;
    const [a, b] = shapesOf(config, layer).map(({ name }) => weights[name]);
    for (let k = 0; k < r && a !== undefined; k++) {
      const row = k * width + start;
      rows.set(a.subarray(k * from, (k + 1) * from), row);
      for (let i = 0; i < to; i++) rows[row + from + i] = scale * b![i * r + k]!;
    }
    start += from + to;
  }
  return rows;
}

/**
 * Changes the layers of a base by the matrices of each text of a batch. An input that all texts
 * share, `[rows, from]`, becomes one output for each, `[rows, batch, to]`.
 *
 * @param gathered A table's rows, `[batch, rank, width]`; `undefined` for a missing table.
 */
export function mixedProjection(
  base: ModelConfig,
  gathered: (table: string) => Tensor | undefined,
): Projection {
  const starts = new Map<string, number>();
  for (const layers of tablesOf(base).values()) {
    let start = 0;
    for (const { name, from, to } of layers) {
      starts.set(name, start);
      start += from + to;
    }
  }
  return (projected, x, name) => {
    const rows = gathered(bankTable(name));
    if (rows === undefined) return projected;
    const start = starts.get(name)!;
    const [from, to] = [x.shape[1] as number, projected.shape[1] as number];
    const a = slice(rows, 2, start, start + from); // [batch, rank, from]
    const b = slice(rows, 2, start + from, start + from + to); // [batch, rank, to]
    if (typeof x.shape[0] === "number") {
      const inner = matMul(x, a, { transposeB: true }); // [batch, rows, rank]
      const changes = transpose(matMul(inner, b), [1, 0, 2]);
      return add(reshape(projected, [x.shape[0], 1, to]), changes);
    }
    const length = x.shape[0] === "batch" ? 1 : "length";
    const texts = transpose(reshape(x, [length, "batch", from]), [1, 0, 2]);
    const inner = matMul(texts, a, { transposeB: true }); // [batch, length, rank]
    const changes = transpose(matMul(inner, b), [1, 0, 2]); // [length, batch, to]
    return add(projected, reshape(changes, projected.shape));
  };
}
