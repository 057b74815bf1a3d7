/**
 * Classifiers so small that software which stands in for a GPU trains them at once.
 *
 * @module
 */
import type { ProblemType } from "../../data/labels.ts";
import { BertConfig } from "../../models/families/bert.ts";
import { type Mode, tunerOf } from "../../models/tuners/tuner.ts";
import { frozenBase } from "../../models/parameters.ts";
import { initialWeights, type Weights } from "../../models/weights.ts";
import type { Tensors, TrainingGraphs } from "../../onnx/runtime/executor.ts";
import { trainingGraphs } from "../../training/graphs.ts";
import { TrainSettings } from "../../training/settings.ts";

const LABELS = 2;

/** A classifier in training, with a batch for it. */
export interface TinyTraining {
  graphs: TrainingGraphs;
  weights: Weights;
  batch: Tensors;
}

/** Makes a classifier with random weights, and a batch of two texts. */
export async function tinyTraining(mode: Mode, problemType: ProblemType): Promise<TinyTraining> {
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
  const settings = TrainSettings.parse({
    mode,
    prefixLength: 3,
    prefixProjection: mode === "prefix",
    prefixHiddenSize: 4,
    initFrom: mode === "full" ? undefined : "random",
  });
  const { method } = tunerOf(mode);
  const peft = method?.configOf(settings, config);
  const added = peft && await method!.initialWeights(peft, { config, weights: base }, settings);
  const integers = (values: number[]): Tensors[string] => ({
    type: "int64",
    shape: [2, 3],
    data: BigInt64Array.from(values, BigInt),
  });
  return {
    graphs: trainingGraphs(config, peft && frozenBase(config), peft),
    weights: { ...base, ...added },
    batch: {
      input_ids: integers([2, 7, 3, 2, 3, 0]),
      attention_mask: integers([1, 1, 1, 1, 1, 0]),
      token_type_ids: integers([0, 0, 0, 0, 0, 0]),
      labels: { type: "float32", shape: [2, LABELS], data: Float32Array.of(1, 0, 0, 1) },
      example_weights: { type: "float32", shape: [2], data: Float32Array.of(0.5, 0.5) },
    },
  };
}
