/**
 * How fast an engine classifies texts, singly and in batches.
 *
 * @module
 */
import { chunks } from "../data/batches.ts";
import type { Dtype } from "../models/onnx_model.ts";
import { median } from "./train.ts";

/** The result of {@link timePredictions}. */
interface PredictionTimes {
  /** The median time of a single text. */
  batch1_p50_ms: number;
  /** In batches of 8, in the order of the texts. */
  batch8_texts_per_second: number;
  /** The same in batches of 32. */
  batch32_texts_per_second: number;
}

/** The speed of one engine with one type of weights. */
export interface PredictionResult extends PredictionTimes {
  engine: "graft" | "transformers.js";
  dtype: Dtype;
}

/** The results of a model, and the machine. */
export interface PredictionBench {
  device: string;
  model: string;
  results: PredictionResult[];
}

/** Times an engine, from texts to classes. */
export async function timePredictions(
  classify: (texts: string[]) => Promise<unknown>,
  texts: readonly string[],
): Promise<PredictionTimes> {
  for (const batch of chunks(texts, 32).slice(0, 2)) await classify(batch); // warm-up
  const timesMs: number[] = [];
  for (const text of texts) {
    const startedAt = performance.now();
    await classify([text]);
    timesMs.push(performance.now() - startedAt);
  }
  const rate = async (batchSize: number) => {
    const startedAt = performance.now();
    for (const batch of chunks(texts, batchSize)) await classify(batch);
    return texts.length / (performance.now() - startedAt) * 1000;
  };
  return {
    batch1_p50_ms: median(timesMs),
    batch8_texts_per_second: await rate(8),
    batch32_texts_per_second: await rate(32),
  };
}
