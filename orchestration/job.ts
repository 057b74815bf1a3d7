/**
 * What the server and its subprocesses say to each other, as lines of JSON: on the subprocess's
 * standard input one job and then perhaps a word to stop, on its standard output what comes of it.
 *
 * @module
 */
import type { IncomingDataset } from "../data/preparation/ingest.ts";
import type { Dtype } from "../models/weights.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type { EvaluationReport } from "../training/evaluation.ts";
import type { TrainEvent } from "../training/events.ts";
import type { TrainSettings } from "../training/settings.ts";

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
  /** The base of an adapter, as `modelDir()` takes it. */
  base?: string;
  /** The data that the model was trained on. */
  dataDir?: string;
  file: string;
  device: Device | "auto";
  dtype: Dtype;
  /** Where the predictions go, a line of JSON each. */
  rowsFile?: string;
}

/** A data set to make of files that have come. */
export interface IngestJob extends IncomingDataset {
  type: "ingest";
}

/** What a subprocess has to do. */
export type Job = TrainJob | EvaluateJob | IngestJob;

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

/** The data set is there. */
export interface IngestedMessage {
  type: "ingested";
}

/** It cannot be done, and could not if it were tried again. */
export interface ErrorMessage {
  type: "error";
  message: string;
  /** Whether what was given is at fault, or the disk, rather than the program. */
  fault?: "user" | "disk_full";
}

/** A line from the subprocess. */
export type JobMessage =
  | TrainEvent
  | HeartbeatMessage
  | StoppedMessage
  | ReportMessage
  | IngestedMessage
  | ErrorMessage;

/**
 * The lines of a stream of UTF-8 text, as they come. They end with a line feed alone: JSON may hold
 * any other separator of lines.
 */
export async function* textLines(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let line = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    const [first, ...others] = text.split("\n");
    line += first;
    for (const other of others) {
      yield line;
      line = other;
    }
  }
  if (line !== "") yield line;
}
