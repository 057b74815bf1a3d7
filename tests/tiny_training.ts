/**
 * Classifiers so small that software which stands in for a GPU trains them at once.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import { BertConfig } from "../models/families/bert.ts";
import { initialPromptEncoder, type PromptEncoder } from "../models/prompt_encoder.ts";
import { frozenBase, initialWeights, type Weights } from "../models/weights.ts";
import type { Tensors, TrainingGraphs } from "../onnx/runtime/executor.ts";
import { trainingGraphs } from "../training/graphs.ts";

/** What is trained: every weight, or virtual tokens and a head on a frozen base. */
export const TINY_MODES = ["full", "prefix", "prompt"] as const;

const LABELS = 2;

/** A classifier in training, with a batch for it. */
export interface TinyTraining {
  graphs: TrainingGraphs;
  weights: Weights;
  batch: Tensors;
}

/** Makes a classifier with random weights, and a batch of two texts. */
export function tinyTraining(
  mode: (typeof TINY_MODES)[number],
  problemType: ProblemType,
): TinyTraining {
  const config = BertConfig.parse({
    model_type: "bert",
    vocab_size: 20,
    hidden_size: 8,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 16,
    max_position_embeddings: 12,
    problem_type: problemType,
    id2label: Object.fromEntries(Array.from({ length: LABELS }, (_, i) => [i, `label ${i}`])),
  });
  const base = initialWeights(config, 1);
  const encoder: PromptEncoder | undefined = mode === "full" ? undefined : {
    peft_type: mode === "prefix" ? "PREFIX_TUNING" : "PROMPT_TUNING",
    num_virtual_tokens: 3,
    prefix_projection: mode === "prefix",
    encoder_hidden_size: 4,
  };
  const frozen = encoder && frozenBase(config);
  const integers = (values: number[]): Tensors[string] => ({
    type: "int64",
    shape: [2, 3],
    data: BigInt64Array.from(values, BigInt),
  });
  return {
    graphs: trainingGraphs(config, frozen, encoder),
    weights: { ...base, ...(encoder && initialPromptEncoder(encoder, config, 1)) },
    batch: {
      input_ids: integers([2, 7, 3, 2, 3, 0]),
      attention_mask: integers([1, 1, 1, 1, 1, 0]),
      token_type_ids: integers([0, 0, 0, 0, 0, 0]),
      labels: { type: "float32", shape: [2, LABELS], data: Float32Array.of(1, 0, 0, 1) },
      example_weights: { type: "float32", shape: [2], data: Float32Array.of(0.5, 0.5) },
    },
  };
}
