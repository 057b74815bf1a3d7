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
  /** In batches of 32, in the order of the texts. */
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
  const batches = chunks(texts, 32);
  for (const batch of batches.slice(0, 2)) await classify(batch); // warm-up
  const timesMs: number[] = [];
  for (const text of texts) {
    const startedAt = performance.now();
    await classify([text]);
    timesMs.push(performance.now() - startedAt);
  }
  const startedAt = performance.now();
  for (const batch of batches) await classify(batch);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    batch1_p50_ms: median(timesMs),
    batch32_texts_per_second: texts.length / seconds,
  };
}
