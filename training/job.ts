/**
 * What the server and its subprocesses say to each other, as lines of JSON: on the subprocess's
 * standard input one job and then perhaps a word to stop, on its standard output what comes of it.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { EvaluationReport } from "./evaluation.ts";
import type { TrainEvent } from "./events.ts";
import type { TrainSettings } from "./settings.ts";

/** A run to train. */
export interface TrainJob {
  type: "train";
  settings: TrainSettings;
  dataDir: string;
  outDir: string;
  /** What the run is called. */
  name: string;
  /** Whether the folder holds what an earlier attempt has left. */
  resume: boolean;
}

/** A model to measure on a file. */
export interface EvaluateJob {
  type: "evaluate";
  modelDir: string;
  file: string;
}

/** What a subprocess has to do. */
export type Job = TrainJob | EvaluateJob;

/** Asks for an end within a step, with a checkpoint. */
export interface StopMessage {
  type: "stop";
}

/** How often a subprocess says that it lives. */
export const HEARTBEAT_MS = 2000;

/** The subprocess lives. */
export interface HeartbeatMessage {
  type: "heartbeat";
}

/** It has stopped as it was asked to; there is a checkpoint. */
export interface StoppedMessage {
  type: "stopped";
  step: number;
}

/** The evaluation is over. */
export interface ReportMessage {
  type: "report";
  report: EvaluationReport & { samples_per_second: number };
}

/** It cannot be done, and could not if it were tried again. */
export interface ErrorMessage {
  type: "error";
  message: string;
}

/** A line from the subprocess. */
export type JobMessage =
  | TrainEvent
  | HeartbeatMessage
  | StoppedMessage
  | ReportMessage
  | ErrorMessage;

/** The lines of a stream of UTF-8 text, as they come. */
export function textLines(bytes: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const input = Readable.fromWeb(bytes as NodeReadableStream);
  return createInterface({ input, crlfDelay: Infinity });
}
