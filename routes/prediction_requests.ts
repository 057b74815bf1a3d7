/**
 * Requests for predictions: the common part of the routes that predict.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import {
  InputError,
  type PredictInput,
  type Predictions,
  type PredictOptions,
  type Predictor,
  TextTooLongError,
} from "../serving/predictor.ts";
import { invalidField, retryLater } from "./errors.ts";

/** The headers of a request for predictions. */
export const PredictHeaders = z.object({
  "X-Routing-Key": z.string().optional()
    .describe("Requests with the same key get the same version of an alias that divides them"),
});

const MAX_TEXT_LENGTH = 100_000;

/** A text to classify. */
export const Text = z.string().max(MAX_TEXT_LENGTH)
  .refine((text) => text.trim() !== "", "must not be empty");

/** The number of classes in the answer for a text. */
export const TopK = z.int().min(1)
  .describe("How many classes of each text are given; by default all");

/** A class and its score. */
export const LabelScore = z.object({ label: z.string(), score: z.number() })
  .meta({ id: "LabelScore" });

/** Options of the routes that predict. */
export interface PredictRoutesOptions {
  predictor: Predictor;
  /** The most texts of a request. */
  maxClientBatchSize: number;
}

/** A request for predictions. */
export interface PredictRequest extends Omit<PredictOptions, "key" | "signal"> {
  inputs: PredictInput[];
  /** The field of a text, by its index in `inputs`. */
  textField?: (index: number) => string;
  /** The field that named the model of a text; by default the path named it, or nothing did. */
  modelField?: (index: number) => string;
}

/**
 * Classifies a request's texts, and gives the times in the headers of the answer, as
 * text-embeddings-inference does.
 *
 * @throws {HTTPException} 413 if there are too many texts or one is too long.
 */
export async function predictions(
  context: Context,
  { predictor, maxClientBatchSize }: PredictRoutesOptions,
  { inputs, textField = (index) => `inputs.${index}`, modelField, ...options }: PredictRequest,
): Promise<Predictions> {
  if (inputs.length > maxClientBatchSize) {
    const message = `'inputs': there are ${inputs.length}, and at most ${maxClientBatchSize} are ` +
      "allowed";
    throw new HTTPException(413, { message });
  }
  const { signal } = context.req.raw;
  const key = context.req.header("X-Routing-Key");
  try {
    const predictions = await predictor.predict(inputs, { ...options, key, signal });
    const { computeType, timing } = predictions;
    for (
      const [name, value] of Object.entries({
        "x-compute-characters": timing.characters,
        "x-compute-tokens": timing.tokens,
        "x-compute-time": timing.totalMs,
        "x-total-time": timing.totalMs,
        "x-tokenization-time": timing.tokenizationMs,
        "x-queue-time": timing.queueMs,
        "x-inference-time": timing.inferenceMs,
      })
    ) context.header(name, String(Math.round(value)));
    context.header("x-compute-type", computeType);
    return predictions;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const { index, field, message } = error;
    if (error instanceof TextTooLongError) {
      throw new HTTPException(413, { message: `'${textField(index)}': ${message}` });
    }
    if (field === "text") throw invalidField(textField(index), message);
    if (modelField !== undefined) throw invalidField(modelField(index), message);
    throw new HTTPException(404, { message });
  }
}

/** Refuses requests while the maximum number are being answered. */
export function limitConcurrency(max: number): MiddlewareHandler {
  let count = 0;
  return async (_context, next) => {
    if (count >= max) {
      throw retryLater(429, `The server answers ${max} requests at once, and no more`, 1);
    }
    count++;
    try {
      await next();
    } finally {
      count--;
    }
  };
}
