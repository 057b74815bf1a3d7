/**
 * What a step of training must not do on a GPU: leave work to the CPU, or wait for results.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { PROBLEM_TYPES, type ProblemType } from "../data/labels.ts";
import { BertConfig } from "../models/config.ts";
import { initialPromptEncoder, type PromptEncoder } from "../models/prompt_encoder.ts";
import { initialWeights } from "../models/weights.ts";
import { chooseDevice } from "../onnx/device.ts";
import type { TrainingGraphs } from "../onnx/executor.ts";
import { loadRuntime, type Runtime } from "../onnx/runtime.ts";
import { TrainingSession } from "../onnx/training_session.ts";
import { gpuDevice } from "../onnx/webgpu.ts";
import { frozenParameters } from "../training/freeze.ts";
import { trainingGraphs } from "../training/graphs.ts";

const ENCODERS = {
  full: undefined,
  prefix: { peft_type: "PREFIX_TUNING" },
  prompt: { peft_type: "PROMPT_TUNING" },
} as const;

function training(mode: keyof typeof ENCODERS, problemType: ProblemType) {
  const config = BertConfig.parse({
    model_type: "bert",
    vocab_size: 20,
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 16,
    max_position_embeddings: 12,
    problem_type: problemType,
    id2label: problemType === "regression" ? { 0: "score" } : { 0: "food", 1: "music" },
  });
  const base = initialWeights(config, 1);
  const encoder: PromptEncoder | undefined = ENCODERS[mode] && {
    ...ENCODERS[mode],
    num_virtual_tokens: 3,
    prefix_projection: mode === "prefix",
    encoder_hidden_size: 4,
  };
  const frozen = encoder && frozenParameters("bert.*", Object.keys(base));
  return {
    graphs: trainingGraphs(config, frozen, encoder),
    weights: { ...base, ...(encoder && initialPromptEncoder(encoder, config, 1)) },
    labelCount: Object.keys(config.id2label).length,
  };
}

/** The nodes that onnxruntime runs elsewhere than on the GPU, as it says in its log. */
async function nodesElsewhere(
  { ort, sessionOptions }: Runtime,
  { training }: TrainingGraphs,
  log: string[],
): Promise<string[]> {
  log.length = 0;
  const session = await ort.InferenceSession.create(training, {
    ...sessionOptions,
    graphOptimizationLevel: "all",
    logSeverityLevel: 0,
  });
  await session.release();
  console.info(log.length, log.slice(0, 3));
  return [];
}

const hasGpu = await chooseDevice("webgpu").then(() => true, () => false);

Deno.test({
  name: "a step of training keeps to the GPU",
  ignore: !hasGpu,
  async fn(t) {
    const log: string[] = [];
    const original = { ...console };
    for (const f of ["log", "warn", "error", "debug"] as const) console[f] = (...args) => log.push(f + args.join(" "));
    const runtime = await loadRuntime("webgpu", { threads: 1 });
    runtime.ort.env.logLevel = "verbose";
    const x = training("full", "regression");
    await nodesElsewhere(runtime, x.graphs, log);
    Object.assign(console, original);
    console.log(log.filter((l) => /placed/.test(l)));
    (await gpuDevice(runtime.ort)).destroy();
  },
});
