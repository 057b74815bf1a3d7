/**
 * Soft targets: a part of each label is replaced by the answer of a linear model on n-grams that has
 * not seen the text. A network that has few texts learns from it what words tell (distillation,
 * Hinton, Vinyals and Dean, 2015, https://arxiv.org/abs/1503.02531).
 *
 * @module
 */
import type { Example } from "../data/examples.ts";
import { labelRow, type Problem } from "../data/labels.ts";
import { Random } from "../lib/random.ts";
import { scoresOf } from "../models/inference/inference.ts";
import { Partner } from "../models/partner/partner.ts";
import { fitScales } from "./stacking.ts";

/** The models, each trained on all parts of the texts but one, whose texts it answers. */
const FOLDS = 5;
const SEED = 1;

/**
 * Makes the targets of texts of one class each.
 *
 * @param examples The texts that are trained on.
 * @param share The share of a target that the n-grams give, from 0 to 1.
 * @returns `[texts][labels]`, rows of probabilities.
 */
export function softTargets(
  examples: readonly Example[],
  problem: Problem,
  share: number,
): number[][] {
  const rows = new Random(SEED).shuffle([...examples.keys()]);
  const folds = Array.from(
    { length: Math.min(FOLDS, examples.length) },
    (_, fold) => rows.filter((_, i) => i % FOLDS === fold),
  );
  const logits = new Array<Float32Array>(examples.length);
  for (const fold of folds) {
    const own = new Set(fold);
    const partner = Partner.fit(examples.filter((_, row) => !own.has(row)), problem);
    for (const row of fold) logits[row] = partner.logits(examples[row]!.text);
  }
  const labels = examples.map(({ label }) => labelRow(label, problem));
  const [scale] = fitScales([logits], labels, problem.problemType).scales as [number];
  return labels.map((row, i) => {
    const answer = scoresOf(logits[i]!.map((logit) => scale * logit), problem.problemType);
    return row.map((value, label) => (1 - share) * value + share * answer[label]!);
  });
}
