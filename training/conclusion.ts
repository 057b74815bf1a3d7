/**
 * The end of a run, with its best weights: calibrates the scores, adds a partner where it helps,
 * and compares the model with others.
 *
 * @module
 */
import type { Examples } from "../data/example_file.ts";
import type { Example } from "../data/examples.ts";
import type { Problem } from "../data/labels.ts";
import { rowsThatMayBe } from "../data/preparation/leakage.ts";
import type { Calibration } from "../models/formats/config.ts";
import { calibrated } from "../models/heads/calibration.ts";
import { scoresOf, withPartner } from "../models/inference/inference.ts";
import type { PooledPartner } from "../models/partner/partner_file.ts";
import { fitCalibration, fitThresholds } from "./calibrate.ts";
import { evaluate, type Prediction } from "./evaluation.ts";
import type { TrainResult } from "./events.ts";
import { type EncodedExample, predictionsOf } from "./encoded_examples.ts";
import { linearBaseline } from "./baseline_predictions.ts";
import type { PartnerKind } from "../models/partner/partner.ts";
import { fitPartner } from "./fit_partner.ts";
import { rivalOf } from "./rival.ts";

/** Labelled texts, and the logits of the network for them. */
export interface Answered {
  rows: readonly Example[];
  examples: readonly EncodedExample[];
  /** `[texts][labels]` */
  logits: readonly Float32Array[];
}

/** Options of {@link conclude}. */
export interface ConclusionOptions {
  train: Examples;
  /** The texts on which the rest is fitted. */
  validation: Answered;
  /** The texts on which the model is measured. */
  measured: Answered;
  problem: Problem;
  partner: PartnerKind;
  /** Whether the head may be changed. */
  calibrates: boolean;
}

/** The result of {@link conclude}. */
export interface Conclusion extends Pick<TrainResult, "linear_baseline" | "network_alone"> {
  calibration: Calibration | undefined;
  partner: PooledPartner | undefined;
  /** The problem with the thresholds that its classes got. */
  problem: Problem;
  metrics: ReturnType<typeof evaluate>;
}

/**
 * Fits the calibration, the partner and the thresholds on the validation texts, and measures the
 * model beside others.
 */
export function conclude(
  { train, validation, measured, problem, partner, calibrates }: ConclusionOptions,
): Conclusion {
  const { problemType } = problem;
  const labels = predictionsOf(validation.examples, validation.logits, problem)
    .map(({ labels }) => labels);
  const calibration = calibrates ? fitCalibration(validation.logits, labels, problem) : undefined;
  const heard = (logits: readonly Float32Array[]) =>
    logits.map((row) => calibrated(row, calibration));
  const pooled = partner === "none"
    ? undefined
    : fitPartner(train, validation.rows, heard(validation.logits), problem);
  const together = ({ examples, logits }: Answered) =>
    heard(logits).map((row, i) => withPartner(row, { partner: pooled?.answer(examples[i]!.text) }));
  const judged: Problem = problemType !== "multi_label_classification" ? problem : {
    ...problem,
    thresholds: fitThresholds(
      together(validation).map((row) => scoresOf(row, problemType)),
      labels,
    ),
  };

  const raw = predictionsOf(measured.examples, measured.logits, problem);
  const predictions = predictionsOf(measured.examples, together(measured), problem)
    .map((prediction, i): Prediction => ({ ...prediction, uncalibrated: raw[i]!.scores }));
  const alone = predictionsOf(measured.examples, heard(measured.logits), problem);
  const linear = linearBaseline(train, measured.rows, problem);
  const seen = new Set(Array.from(rowsThatMayBe(train, measured.rows), ({ text }) => text));
  return {
    calibration,
    partner: pooled,
    problem: judged,
    metrics: evaluate(predictions, judged, seen),
    linear_baseline: linear === undefined
      ? null
      : rivalOf(linear, predictions, judged) as TrainResult["linear_baseline"],
    network_alone: pooled === undefined ? null : rivalOf(alone, predictions, judged),
  };
}
