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
  /** The texts that stand in the training file, too. */
  seen: { n: number; accuracy: number; f1_macro: number };
  /** The texts that do not, and what always predicting their commonest class would give. */
  unseen: { n: number; accuracy: number; f1_macro: number; majority: number };
  /** The accuracy of always predicting the commonest class. */
  majority: number;
  /** 95 % bootstrap intervals, resampling distinct texts. */
  interval: { accuracy: [number, number]; f1_macro: [number, number] };
}

const RESAMPLES = 1000;
const RESAMPLING_SEED = 1;

/**
 * Compares predictions with the truth. Ratios with nothing to divide by are 0; macro averages are
 * over the classes that are predicted or true at least once, as in scikit-learn.
 *
 * @param labels The names of the classes.
 * @param seenTexts The texts of the training file.
 */
export function evaluate(
  predictions: readonly Prediction[],
  labels: readonly string[],
  seenTexts: ReadonlySet<string>,
): EvaluationReport {
  const confusion = Confusion.of(predictions, labels.length);
  const seen = Confusion.of(predictions.filter(({ text }) => seenTexts.has(text)), labels.length);
  const unseen = Confusion.of(
    predictions.filter(({ text }) => !seenTexts.has(text)),
    labels.length,
  );
  const accuracy = confusion.accuracy();
  return {
    n: confusion.total,
    accuracy,
    f1_macro: confusion.macroF1(),
    // Each text has one label, so micro-averaged precision, recall and F1 all are the accuracy.
    f1_micro: accuracy,
    per_class: labels.map((label, index) => ({ label, ...confusion.classReport(index) })),
    confusion_matrix: confusion.rows(),
    seen: { n: seen.total, accuracy: seen.accuracy(), f1_macro: seen.macroF1() },
    unseen: {
      n: unseen.total,
      accuracy: unseen.accuracy(),
      f1_macro: unseen.macroF1(),
      majority: unseen.majority(),
    },
    majority: confusion.majority(),
    interval: bootstrapIntervals(predictions, labels.length),
  };
}

/** Counts of true and predicted classes. */
class Confusion {
  readonly #counts: Uint32Array;
  readonly #classCount: number;
  total = 0;

  constructor(classCount: number) {
    this.#counts = new Uint32Array(classCount * classCount);
    this.#classCount = classCount;
  }

  static of(predictions: readonly Prediction[], classCount: number): Confusion {
    const confusion = new Confusion(classCount);
    for (const { label, predicted } of predictions) confusion.add(label, predicted);
    return confusion;
  }

  add(label: number, predicted: number): void {
    this.#counts[label * this.#classCount + predicted]!++;
    this.total++;
  }

  rows(): number[][] {
    return this.#classes().map((label) =>
      this.#classes().map((predicted) => this.#count(label, predicted))
    );
  }

  accuracy(): number {
    return ratio(sum(this.#classes().map((index) => this.#count(index, index))), this.total);
  }

  majority(): number {
    return ratio(Math.max(...this.#classes().map((index) => this.#support(index))), this.total);
  }

  macroF1(): number {
    const used = this.#classes()
      .filter((index) => this.#support(index) + this.#predictedCount(index) > 0)
      .map((index) => this.classReport(index).f1);
    return ratio(sum(used), used.length);
  }

  classReport(index: number): Omit<ClassReport, "label"> {
    const correct = this.#count(index, index);
    const support = this.#support(index);
    const predicted = this.#predictedCount(index);
    return {
      precision: ratio(correct, predicted),
      recall: ratio(correct, support),
      f1: ratio(2 * correct, support + predicted),
      support,
    };
  }

  #classes(): number[] {
    return Array.from({ length: this.#classCount }, (_, index) => index);
  }

  #count(label: number, predicted: number): number {
    return this.#counts[label * this.#classCount + predicted]!;
  }

  #support(label: number): number {
    return sum(this.#classes().map((predicted) => this.#count(label, predicted)));
  }

  #predictedCount(predicted: number): number {
    return sum(this.#classes().map((label) => this.#count(label, predicted)));
  }
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
    const confusion = new Confusion(classCount);
    for (let draw = 0; draw < byText.length; draw++) {
      for (const { label, predicted } of byText[random.integer(byText.length)]!) {
        confusion.add(label, predicted);
      }
    }
    accuracies.push(confusion.accuracy());
    macroF1s.push(confusion.macroF1());
  }
  return { accuracy: middle95(accuracies), f1_macro: middle95(macroF1s) };
}

function middle95(values: number[]): [number, number] {
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (values.length - 1))]!;
  return [at(0.025), at(0.975)];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
