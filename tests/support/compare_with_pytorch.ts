/**
 * Logits, loss, gradients and weights after three AdamW steps against values that PyTorch,
 * transformers and PEFT computed; `golden/README.md` says how.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { familyOf } from "../../models/family.ts";
import { labelsOf, type ModelConfig, problemOf } from "../../models/formats/config.ts";
import { decodeSafetensors, type StoredTensor } from "../../models/formats/safetensors.ts";
import type { LoraConfig } from "../../models/tuners/lora.ts";
import { type PeftConfig, tunerOf } from "../../models/tuners/tuner.ts";
import type { Executor, Tensors } from "../../onnx/runtime/executor.ts";
import { frozenBase } from "../../models/parameters.ts";
import { trainingGraphs } from "../../training/graphs.ts";
import { TrainSettings } from "../../training/settings.ts";
import { relativeError } from "./relative_error.ts";

const TOLERANCE = 1e-5;

/** Softmax ignores a shift of the keys, so that the gradients of their biases are rounding noise. */
const KEY_BIAS = /\.(key|k|k_lin)\.bias$/;

interface Golden {
  config: { model_type: string };
  step_losses: number[];
  step_grad_norms: number[];
  step_lrs: number[];
  num_virtual_tokens?: number;
  prefix_hidden_size?: number | null;
  lora?: {
    r: number;
    lora_alpha: number;
    target_modules: string[];
    use_rslora?: boolean;
    modules_to_save?: string[];
  };
}

function close(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  tolerance = TOLERANCE,
): void {
  ok(actual.length === expected.length, `${what} has ${actual.length} values`);
  const error = relativeError(actual, expected);
  ok(error < tolerance, `${what} differs by ${error}`);
}

/** A name of transformers, or of PEFT without the name of its adapter. */
function plainName(name: string): string {
  return name.replace(/^base_model\.(model\.)?/, "")
    .replace(/\.(modules_to_save\.)?default\./, ".")
    .replace(".base_layer.", ".");
}

/** PEFT's settings of the adapter, where one is tuned. */
function peftConfig(name: string, golden: Golden, config: ModelConfig): PeftConfig | undefined {
  const { num_virtual_tokens, prefix_hidden_size, lora } = golden;
  if (lora !== undefined) {
    const config: LoraConfig = {
      peft_type: "LORA",
      lora_dropout: 0,
      use_rslora: false,
      modules_to_save: [],
      ...lora,
    };
    return config;
  }
  if (num_virtual_tokens === undefined) return undefined;
  const settings = TrainSettings.parse({
    mode: name.endsWith("prompt") ? "prompt" : "prefix",
    prefixLength: num_virtual_tokens,
    prefixProjection: typeof prefix_hidden_size === "number",
    prefixHiddenSize: prefix_hidden_size ?? undefined,
  });
  return tunerOf(settings.mode).method!.configOf(settings, config);
}

/** @param name The files' name, without extension, from this folder. */
async function load(name: string) {
  const url = (extension: string) => new URL(`../${name}.${extension}`, import.meta.url);
  const golden: Golden = JSON.parse(await Deno.readTextFile(url("json")));
  const { tensors } = decodeSafetensors(await Deno.readFile(url("safetensors")), name);
  const numbers = (key: string) => tensors.get(key)!.data as Float32Array | Int32Array;
  const group = (prefix: string) =>
    new Map(
      [...tensors].flatMap(([key, tensor]): [string, StoredTensor][] =>
        // PEFT keeps the head that the base came with.
        key.startsWith(prefix) && !key.includes("original_module")
          ? [[plainName(key.slice(prefix.length)), tensor]]
          : []
      ),
    );
  return {
    golden,
    config: familyOf(golden.config).config.parse(golden.config),
    tensors,
    numbers,
    group,
  };
}

/** The labels as the loss takes them, `[batch, labels]`: classes become one-hot rows. */
function labelRows(config: ModelConfig, labels: Float32Array | Int32Array): Float32Array {
  if (problemOf(config).problemType !== "single_label_classification") {
    return Float32Array.from(labels);
  }
  const classes = labelsOf(config).map((_, index) => index);
  return Float32Array.from([...labels].flatMap((label) => classes.map((i) => Number(i === label))));
}

/**
 * Takes three steps of training and compares them, and what comes before, with the golden values.
 *
 * @param name The files' name, without extension, from the folder `tests`.
 */
export async function compareWithPyTorch(
  name: string,
  executor: Executor,
): Promise<void> {
  const { golden, config, tensors, numbers, group } = await load(name);
  // WebGPU's kernels round differently, and three steps of AdamW magnify that.
  const weightTolerance = executor.choice.device === "webgpu" ? 1e-4 : TOLERANCE;
  const initial = Object.fromEntries(
    [...group("initial/")].map(([name, { data }]) => [name, data as Float32Array]),
  );
  const peft = peftConfig(name, golden, config);
  const graphs = trainingGraphs(config, peft && frozenBase(config, peft), peft);

  const integers = (key: string): Tensors[string] => ({
    type: "int64",
    shape: tensors.get(key)!.shape,
    data: BigInt64Array.from(numbers(key) as Int32Array, BigInt),
  });
  const examples = tensors.get("input_ids")!.shape[0]!;
  const batch: Tensors = {
    input_ids: integers("input_ids"),
    attention_mask: integers("attention_mask"),
    ...tensors.has("token_type_ids") ? { token_type_ids: integers("token_type_ids") } : {},
    labels: {
      type: "float32",
      shape: [examples, labelsOf(config).length],
      data: labelRows(config, numbers("labels") as Float32Array | Int32Array),
    },
    example_weights: {
      type: "float32",
      shape: [examples],
      data: new Float32Array(examples).fill(1 / examples),
    },
  };
  const session = await executor.loadTrainingSession(graphs, structuredClone(initial), {
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxGradientNorm: 1 },
    dropoutSeed: 0,
    largestDimensions: [{}],
  });

  const { logits } = await session.run(batch);
  close(logits!.data as Float32Array, numbers("logits"), "logits");

  const gradientSession = await executor.loadSession(graphs.training);
  const weights = Object.fromEntries(
    graphs.parameters.map(({ name, shape }) => [
      name,
      { type: "float32" as const, shape, data: initial[name]! },
    ]),
  );
  const outputs = await gradientSession.run({ ...weights, ...batch });
  close(outputs["loss"]!.data as Float32Array, numbers("loss"), "loss");
  const gradients = group("grad/");
  deepStrictEqual(
    graphs.gradients.map(({ parameter }) => parameter).sort(),
    [...gradients.keys()].sort(),
  );
  for (const { parameter, output, indices } of graphs.gradients) {
    if (KEY_BIAS.test(parameter)) continue;
    const expected = gradients.get(parameter)!.data as Float32Array;
    const values = outputs[output]!.data as Float32Array;
    if (indices === undefined) {
      close(values, expected, output);
      continue;
    }
    const dense = new Float32Array(expected.length);
    const rows = [...outputs[indices]!.data as BigInt64Array];
    const width = values.length / rows.length;
    for (const [i, row] of rows.entries()) {
      for (let k = 0; k < width; k++) dense[Number(row) * width + k]! += values[i * width + k]!;
    }
    close(dense, expected, output);
  }

  for (const [i, rate] of golden.step_lrs.entries()) {
    const { loss, gradientNorm } = await session.step([batch], i + 1, rate);
    close([loss], [golden.step_losses[i]!], `loss of step ${i + 1}`);
    close([gradientNorm], [golden.step_grad_norms[i]!], `gradient norm of step ${i + 1}`);
  }
  for (const [name, { data }] of group("after3/")) {
    if (KEY_BIAS.test(name)) continue;
    const weights = await session.values("weights", name);
    close(weights, data as Float32Array, name, weightTolerance);
  }
  await gradientSession.release();
  await session.release();
}
