/**
 * Whether a network gets a partner, and how much each of the two counts.
 *
 * @module
 */
import type { Example } from "../data/examples.ts";
import { labelRow, type Problem } from "../data/labels.ts";
import { Partner } from "../models/partner/partner.ts";
import { PooledPartner } from "../models/partner/partner_file.ts";
import { fitScales, LEAST_GAIN, type LogitRows } from "./pooling.ts";

/** What the values of `--partner` stand for. */
export const PARTNERS = ["ngrams", "none"] as const;

/**
 * Trains a partner on the texts of a network, and weighs the two on the validation texts.
 *
 * @param logits What the network says to the validation texts, `[texts][labels]`.
 * @returns `undefined` if the validation texts do not show that it helps.
 */
export function fitPartner(
  train: readonly Example[],
  validation: readonly Example[],
  logits: LogitRows,
  problem: Problem,
): PooledPartner | undefined {
  const partner = Partner.fit(train, problem);
  const others = validation.map(({ text }) => partner.logits(text));
  const labels = validation.map(({ label }) => labelRow(label, problem));
  const alone = fitScales([logits], labels, problem.problemType);
  const both = fitScales([logits, others], labels, problem.problemType);
  const gain = validation.length * (logLoss(alone.loss, problem) - logLoss(both.loss, problem));
  const [network, ngrams] = both.scales as [number, number];
  if (ngrams === 0 || !(gain > LEAST_GAIN)) return undefined;
  return new PooledPartner(partner, { network, partner: ngrams });
}

/** A mean loss as a mean negative log-likelihood, but for constants. */
function logLoss(loss: number, { problemType, labels }: Problem): number {
  switch (problemType) {
    case "single_label_classification":
      return loss;
    case "multi_label_classification":
      // The loss is the mean over the labels.
      return loss * labels.length;
    case "regression":
      // Of errors that are normal, with the variance that fits best.
      return Math.log(Math.max(loss, Number.MIN_VALUE)) / 2;
  }
}
