/**
 * How fast a trained model classifies texts, by the type of its weights.
 *
 * @module
 */
import { evaluationFile } from "../data/dataset.ts";
import { readExamples } from "../data/examples.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import { DTYPES } from "../models/onnx_model.ts";
import type { Executor } from "../onnx/runtime/executor.ts";
import { type PredictionBench, type PredictionResult, timePredictions } from "./prediction.ts";

/** Settings of {@link benchPredict}. */
export interface PredictBenchOptions {
  /** The folder of a trained model. */
  model: string;
  /** The folder of labelled texts; its test file is read. */
  data: string;
  /** The number of texts to take from it. */
  texts: number;
}

/** Times a model on texts of a data set, from texts to classes. */
export async function benchPredict(
  executor: Executor,
  { model, data, texts: count }: PredictBenchOptions,
): Promise<PredictionBench> {
  const results: PredictionResult[] = [];
  for (const dtype of DTYPES) {
    const classifier = await TextClassifier.load(executor, model, dtype);
    const examples = await readExamples(await evaluationFile(data), classifier.problemType);
    const texts = examples.slice(0, count).map(({ text }) => text);
    const times = await timePredictions((texts) => classifier.classify(texts), texts);
    results.push({ engine: "graft", dtype, ...times });
    await classifier.release();
  }
  return { device: executor.choice.device, model, results };
}
