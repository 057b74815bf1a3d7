/**
 * The heads that pretraining adds to an encoder (Devlin et al., 2019), with the table of word
 * embeddings as the decoder.
 *
 * @module
 */
import type { Tensor } from "../../onnx/graph/graph.ts";
import { add, gather, gemm, logSumExp, mul, reduceSum, sub } from "../../onnx/graph/operators.ts";
import { familyOf, wordEmbeddings } from "../family.ts";
import { type GraphOptions, linear } from "../layers.ts";

/** The tokens that are predicted. */
export interface MaskedTokens {
  /** Their places among all tokens of the batch, int64 `[masked]`. */
  positions: Tensor;
  /** The original tokens, int64 `[masked]`. */
  labels: Tensor;
}

/**
 * Appends the prediction of the masked tokens; only these go through the decoder.
 *
 * @param x The output of the encoder, `[tokens, hidden]`.
 * @param options Must give one tensor for each name, however often `parameter` is called.
 * @returns The cross-entropy of each masked token, `[masked]`.
 */
export function maskedTokenLosses(
  x: Tensor,
  { positions, labels }: MaskedTokens,
  options: GraphOptions,
): Tensor {
  const { config, parameter } = options;
  const head = familyOf(config).maskedLanguageHead!;
  const state = head.transform(gather(x, positions), options); // [masked, width]
  const decoder = parameter(wordEmbeddings(config), [config.vocab_size, state.shape[1] as number]);
  const bias = parameter(head.bias, [config.vocab_size]);
  const logits = gemm(state, decoder, bias, { transposeB: true }); // [masked, words]
  // The logit of the right word is computed separately: selecting it would cost a pass over them
  // all.
  const right = add(
    reduceSum(mul(state, gather(decoder, labels)), [1]),
    gather(bias, labels),
  );
  return sub(logSumExp(logits), right);
}

/** The prefix of the parameters that only distillation needs; no model keeps them. */
export const TEACHER_PROJECTION = "distillation.projection";

/**
 * Appends the distance between the embeddings of texts and those that a teacher gives them.
 *
 * @param pooled The vector of each text, `[batch, hidden]`.
 * @param targets The teacher's embeddings, of unit length, `[batch, size]`.
 * @returns The squared distance of each text, `[batch]`.
 */
export function distillationLosses(
  pooled: Tensor,
  targets: Tensor,
  options: GraphOptions,
): Tensor {
  const size = targets.shape[1] as number;
  const error = sub(linear(pooled, TEACHER_PROJECTION, size, options), targets);
  return reduceSum(mul(error, error), [1]);
}
