/**
 * What a classifier's predictions are worth.
 *
 * @module
 */
import { Random } from "../onnx/random.ts";

/** A prediction next to the truth. */
export interface Prediction {
  text: string;
  /** The class's index. */
  label: number;
  /** The predicted class's index. */
  predicted: number;
}

/** How well one class is found. */
export interface ClassReport {
  label: string;
  precision: number;
  recall: number;
  f1: number;
  support: number;
}

/** What {@link evaluate} finds; the keys are those of `eval --json`. */
export interface EvaluationReport {
  n: number;
  accuracy: number;
  f1_macro: number;
  f1_micro: number;
  per_class: ClassReport[];
  /** Rows are true classes, columns predicted ones. */
  confusion_matrix: number[][];
  /** The texts that the model was trained on; `null` where those are not known. */
  seen: { n: number; accuracy: number; f1_macro: number } | null;
  /** The others, and what always predicting their commonest class would give. */
  unseen: { n: number; accuracy: number; f1_macro: number; majority: number } | null;
  /** The accuracy of always predicting the commonest class. */
  majority: number;
  /** 95 % bootstrap intervals, resampling distinct texts. */
  interval: { accuracy: [number, number]; f1_macro: [number, number] };
}

const RESAMPLES = 1000;
const RESAMPLING_SEED = 1;

/** The two figures by which epochs are compared. */
export type Headline = Pick<EvaluationReport, "accuracy" | "f1_macro">;

/** Accuracy and macro-F1 alone, without the cost of intervals. */
export function headline(predictions: readonly Prediction[], classCount: number): Headline {
  const tally = Tally.of(predictions, classCount);
  return { accuracy: tally.accuracy(), f1_macro: tally.macroF1() };
}

/**
 * Compares predictions with the truth. Ratios with nothing to divide by are 0; macro averages are
 * over the classes that are predicted or true at least once, as in scikit-learn.
 *
 * @param labels The names of the classes.
 * @param seenTexts The texts that the model was trained on, where they are known.
 */
export function evaluate(
  predictions: readonly Prediction[],
  labels: readonly string[],
  seenTexts: ReadonlySet<string> | undefined,
): EvaluationReport {
  const classCount = labels.length;
  const all = Tally.of(predictions, classCount);
  const accuracy = all.accuracy();
  return {
    n: all.total,
    accuracy,
    f1_macro: all.macroF1(),
    // Each text has one label, so micro-averaged precision, recall and F1 all are the accuracy.
    f1_micro: accuracy,
    per_class: labels.map((label, index) => ({ label, ...all.classReport(index) })),
    confusion_matrix: confusionMatrix(predictions, classCount),
    ...seenAndUnseen(predictions, classCount, seenTexts),
    majority: all.majority(),
    interval: bootstrapIntervals(predictions, classCount),
  };
}

function seenAndUnseen(
  predictions: readonly Prediction[],
  classCount: number,
  seenTexts: ReadonlySet<string> | undefined,
): Pick<EvaluationReport, "seen" | "unseen"> {
  if (seenTexts === undefined) return { seen: null, unseen: null };
  const figures = (part: readonly Prediction[]) => ({
    n: part.length,
    ...headline(part, classCount),
  });
  const unseen = predictions.filter(({ text }) => !seenTexts.has(text));
  return {
    seen: figures(predictions.filter(({ text }) => seenTexts.has(text))),
    unseen: { ...figures(unseen), majority: Tally.of(unseen, classCount).majority() },
  };
}

/** How many predictions are right, by class. */
class Tally {
  readonly #correct: Uint32Array;
  readonly #support: Uint32Array;
  readonly #predicted: Uint32Array;
  total = 0;

  constructor(classCount: number) {
    this.#correct = new Uint32Array(classCount);
    this.#support = new Uint32Array(classCount);
    this.#predicted = new Uint32Array(classCount);
  }

  static of(predictions: readonly Prediction[], classCount: number): Tally {
    const tally = new Tally(classCount);
    for (const prediction of predictions) tally.add(prediction);
    return tally;
  }

  add({ label, predicted }: Prediction): void {
    this.#support[label]!++;
    this.#predicted[predicted]!++;
    if (label === predicted) this.#correct[label]!++;
    this.total++;
  }

  accuracy(): number {
    return ratio(this.#correct.reduce((a, b) => a + b, 0), this.total);
  }

  majority(): number {
    return ratio(Math.max(...this.#support), this.total);
  }

  macroF1(): number {
    let sum = 0;
    let used = 0;
    for (let index = 0; index < this.#correct.length; index++) {
      const size = this.#support[index]! + this.#predicted[index]!;
      if (size === 0) continue;
      sum += 2 * this.#correct[index]! / size;
      used++;
    }
    return ratio(sum, used);
  }

  classReport(index: number): Omit<ClassReport, "label"> {
    const [correct, support, predicted] = [this.#correct, this.#support, this.#predicted]
      .map((counts) => counts[index]!) as [number, number, number];
    return {
      precision: ratio(correct, predicted),
      recall: ratio(correct, support),
      f1: ratio(2 * correct, support + predicted),
      support,
    };
  }
}

function confusionMatrix(predictions: readonly Prediction[], classCount: number): number[][] {
  const rows = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (const { label, predicted } of predictions) rows[label]![predicted]!++;
  return rows;
}

/**
 * Percentile intervals (Efron, 1979). Rows of one text are drawn together: they are not independent.
 */
function bootstrapIntervals(
  predictions: readonly Prediction[],
  classCount: number,
): EvaluationReport["interval"] {
  const byText = [...Map.groupBy(predictions, ({ text }) => text).values()];
  const random = new Random(RESAMPLING_SEED);
  const accuracies: number[] = [];
  const macroF1s: number[] = [];
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const tally = new Tally(classCount);
    for (let draw = 0; draw < byText.length; draw++) {
      for (const prediction of byText[random.integer(byText.length)]!) tally.add(prediction);
    }
    accuracies.push(tally.accuracy());
    macroF1s.push(tally.macroF1());
  }
  return { accuracy: middle95(accuracies), f1_macro: middle95(macroF1s) };
}

function middle95(values: number[]): [number, number] {
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (values.length - 1))]!;
  return [at(0.025), at(0.975)];
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
