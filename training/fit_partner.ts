/**
 * Decides whether a network gets a partner, and how much each of the two counts.
 *
 * @module
 */
import type { Examples } from "../data/example_file.ts";
import type { Example } from "../data/examples.ts";
import { labelRow, type Problem } from "../data/labels.ts";
import { Partner } from "../models/partner/partner.ts";
import { PooledPartner } from "../models/partner/partner_file.ts";
import { fitScales, LEAST_GAIN, type LogitRows } from "./stacking.ts";

/** The most texts times labels with which a second partner takes only seconds. */
const MAX_TRIED = 500_000;

/**
 * Trains partners on the texts of a network, and weighs the better one and the network on the
 * validation texts.
 *
 * @param logits The logits of the network for the validation texts, `[texts][labels]`.
 * @returns `undefined` if the validation texts do not show that it helps.
 */
export function fitPartner(
  train: Examples,
  validation: readonly Example[],
  logits: LogitRows,
  problem: Problem,
): PooledPartner | undefined {
  const labels = validation.map(({ label }) => labelRow(label, problem));
  const candidates = partners(train, problem).map((partner) => {
    const others = validation.map(({ text }) => partner.logits(text));
    return { partner, ...fitScales([logits, others], labels, problem.problemType) };
  });
  const best = candidates.reduce((a, b) => b.loss < a.loss ? b : a);
  const alone = fitScales([logits], labels, problem.problemType);
  const gain = validation.length * (logLoss(alone.loss, problem) - logLoss(best.loss, problem));
  const [network, ngrams] = best.scales as [number, number];
  if (ngrams === 0 || !(gain > LEAST_GAIN)) return undefined;
  return new PooledPartner(best.partner, { network, partner: ngrams });
}

/** Trains a partner with n-grams of characters, and one without where that takes no minutes. */
function partners(train: Examples, problem: Problem): Partner[] {
  const whole = Partner.fit(train, problem);
  const isQuick = train.length * problem.labels.length <= MAX_TRIED;
  if (!whole.state.characters || !isQuick) return [whole];
  return [whole, Partner.fit(train, problem, { characters: false })];
}

/** A mean loss as a mean negative log-likelihood, up to constants. */
function logLoss(loss: number, { problemType, labels }: Problem): number {
  switch (problemType) {
    case "single_label_classification":
      return loss;
    case "multi_label_classification":
      // The loss is the mean over the labels.
      return loss * labels.length;
    case "regression":
      // That of normal errors, with the variance that fits best.
      return Math.log(Math.max(loss, Number.MIN_VALUE)) / 2;
  }
}
