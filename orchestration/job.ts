/**
 * The messages between the server and its subprocesses, as lines of JSON: a subprocess gets one job
 * and then perhaps a request to stop on its standard input, and reports on its standard output.
 *
 * @module
 */
import type { IncomingDataset } from "../data/preparation/ingest.ts";
import type { Dtype } from "../models/onnx_model.ts";
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
  /** The name of the run. */
  name: string;
  /** Whether the folder holds the state of an earlier attempt. */
  resume: boolean;
  /** Whether it only tries settings: the test file is not for that. */
  isTrial: boolean;
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
  /** The file for the predictions, one line of JSON for each. */
  rowsFile?: string;
}

/** A data set to make from files that have arrived. */
export interface IngestJob extends IncomingDataset {
  type: "ingest";
}

/** A subprocess's work. */
export type Job = TrainJob | EvaluateJob | IngestJob;

/** Asks for an end within a step, with a checkpoint. */
export interface StopMessage {
  type: "stop";
}

/** The interval at which a subprocess says that it lives. */
export const HEARTBEAT_MS = 2000;

/** The subprocess lives. */
export interface HeartbeatMessage {
  type: "heartbeat";
}

/** The job was stopped as requested; there is a checkpoint. */
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

/** The job cannot be done, and would fail again. */
export interface ErrorMessage {
  type: "error";
  message: string;
  /** The cause of the fault, if it is the input or the disk rather than the program. */
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
 * Yields the lines of a stream of UTF-8 text as they come. Only a line feed ends a line: JSON may
 * hold any other line separator.
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
