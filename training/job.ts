/**
 * What the server and the training subprocess say to each other, as lines of JSON: one job on the
 * subprocess's standard input, events on its standard output.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { TrainEvent } from "./events.ts";
import type { TrainSettings } from "./settings.ts";

/** What a training subprocess has to do. */
export interface TrainJob {
  settings: TrainSettings;
  dataDir: string;
  outDir: string;
}

/** The run went wrong. */
export interface ErrorMessage {
  type: "error";
  message: string;
}

/** A line from the subprocess. */
export type JobMessage = TrainEvent | ErrorMessage;

/** The lines of a stream of UTF-8 text, as they come. */
export function textLines(bytes: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const input = Readable.fromWeb(bytes as NodeReadableStream);
  return createInterface({ input, crlfDelay: Infinity });
}
