/**
 * What pretraining puts on BERT's encoder (Devlin et al., 2019). Parameters have the names of
 * transformers' `BertForMaskedLM`, whose decoder is the table of word embeddings.
 *
 * @module
 */
import type { Tensor } from "../../onnx/graph/graph.ts";
import {
  add,
  gather,
  gelu,
  gemm,
  logSumExp,
  mul,
  reduceSum,
  sub,
} from "../../onnx/graph/operators.ts";
import { linear, normalization, type ParameterSource } from "../bert.ts";
import type { BertConfig } from "../formats/config.ts";

/** The start of the names of the parameters that only predicting masked tokens needs. */
const MASKED_LANGUAGE_HEAD = "cls.predictions.";

/** The table of word embeddings, which is also the decoder. */
export const WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight";

/** The tokens that are predicted. */
export interface MaskedTokens {
  /** Their places among all tokens of the batch, int64 `[masked]`. */
  positions: Tensor;
  /** What stood there, int64 `[masked]`. */
  labels: Tensor;
}

/**
 * Appends the prediction of masked tokens; no other goes through the decoder.
 *
 * @param x What the encoder gives, `[tokens, hidden]`.
 * @param parameter Gives one tensor for a name, however often it is asked for.
 * @returns The cross-entropy of each masked token, `[masked]`.
 */
export function maskedTokenLosses(
  x: Tensor,
  { positions, labels }: MaskedTokens,
  config: BertConfig,
  parameter: ParameterSource,
): Tensor {
  const { hidden_size: hidden, vocab_size: words } = config;
  const transform = `${MASKED_LANGUAGE_HEAD}transform`;
  const inner = gelu(linear(gather(x, positions), parameter, `${transform}.dense`, hidden, hidden));
  const state = normalization(inner, parameter, `${transform}.LayerNorm`, config); // [masked, hidden]
  const decoder = parameter(WORD_EMBEDDINGS, [words, hidden]);
  const bias = parameter(`${MASKED_LANGUAGE_HEAD}bias`, [words]);
  const logits = gemm(state, decoder, bias, { transposeB: true }); // [masked, words]
  // The logit of the right word on its own: to pick it out of all would cost a pass over them.
  const right = add(
    reduceSum(mul(state, gather(decoder, labels)), [1]),
    gather(bias, labels),
  );
  return sub(logSumExp(logits), right);
}

/** The start of the names of the parameters that only distillation needs; no model keeps them. */
export const TEACHER_PROJECTION = "distillation.projection";

/**
 * Appends the distance between the embeddings of texts and those that a teacher gives them.
 *
 * @param pooled What stands for each text, `[batch, hidden]`.
 * @param targets The teacher's embeddings, of unit length, `[batch, size]`.
 * @returns The squared distance of each text, `[batch]`.
 */
export function distillationLosses(
  pooled: Tensor,
  targets: Tensor,
  parameter: ParameterSource,
): Tensor {
  const [hidden, size] = [pooled.shape[1] as number, targets.shape[1] as number];
  const error = sub(linear(pooled, parameter, TEACHER_PROJECTION, hidden, size), targets);
  return reduceSum(mul(error, error), [1]);
}
