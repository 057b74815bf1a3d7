/**
 * What a run reports while it goes: to the progress bar, to the server and to its event stream.
 *
 * @module
 */
import type { DownloadEvent } from "../models/hub.ts";
import type { EvaluationReport } from "./evaluation.ts";
import type { Headline } from "./metrics.ts";
import type { Rival } from "./verdict.ts";

/** The run is prepared and begins. */
export interface StartEvent {
  type: "start";
  model: string;
  device: string;
  /** Why there. */
  device_reason: string;
  /** How many numbers are trained. */
  parameters: number;
  steps: number;
  /** Steps that are done already, by the run that this one resumes. */
  steps_done: number;
  epochs: number;
  train_examples: number;
  validation_examples: number;
  /** Texts that are longer than the limit and lose a part. */
  truncated: number;
  /** The share of the tokens of the training texts that is lost with it. */
  lost_share: number;
  /** How many chunks texts that are longer than the limit make, where they go in chunks. */
  chunks: number;
  /** The share of the tokens of the training texts that the vocabulary does not have. */
  unknown_share: number;
  /** How many held-out texts are in the training file, as `data audit` says it. */
  leakage: string;
  /** What a user should know of the base. */
  notes: string[];
}

/** An optimizer step is done. */
export interface StepEvent {
  type: "step";
  /** Counted from 1. */
  step: number;
  /** How much of the training file has been seen, such as 1.5. */
  epoch: number;
  loss: number;
  grad_norm: number;
  learning_rate: number;
  /** Tokens without padding, since the start. */
  tokens_per_second: number;
  seconds_left: number;
  /** What the process that trains holds in memory, where it says so. */
  memory_bytes?: number;
}

/** The validation file has been predicted. */
export type EvaluationEvent = Headline & {
  type: "evaluation";
  step: number;
  epoch: number;
  loss: number;
  /** Whether no evaluation before was as good. */
  best: boolean;
};

/** Everything is saved that is needed to go on from here. */
export interface CheckpointEvent {
  type: "checkpoint";
  step: number;
  /** Its folder. */
  dir: string;
}

/** The model is written and the run is over. */
export interface FinishEvent extends TrainResult {
  type: "finish";
}

/** What a finished run gives; the keys are those of `train --json`. */
export interface TrainResult {
  run: string;
  model_dir: string;
  steps: number;
  epochs: number;
  best_epoch: number;
  device: string;
  tokens_per_second: number;
  /** Of the test file, or of the validation file where there is no test file. */
  metrics: EvaluationReport & { split: "test" | "validation" };
  /**
   * How good a linear model on the same texts is; `null` where that would take long, or a text has
   * not one class.
   */
  linear_baseline: Extract<Rival, { problem_type: "single_label_classification" }> | null;
  /** How good the network is without its partner; `null` where it has none. */
  network_alone: Rival | null;
}

/** Anything that a run reports. */
export type TrainEvent =
  | DownloadEvent
  | EncodingEvent
  | StartEvent
  | StepEvent
  | EvaluationEvent
  | CheckpointEvent
  | FinishEvent;

/** Texts are being encoded, before pretraining or beside the training on a large data set. */
export interface EncodingEvent {
  type: "encoding";
  /** How many there were so far. */
  texts: number;
  /** How many there are, where that is known. */
  total?: number;
}

/** Pretraining is prepared and begins. */
export interface PretrainStartEvent {
  type: "pretrain_start";
  model: string;
  device: string;
  /** Why there. */
  device_reason: string;
  parameters: number;
  /** How many word pieces there are. */
  vocabulary: number;
  steps: number;
  /** Steps that are done already, by the run that this one resumes. */
  steps_done: number;
  epochs: number;
  rows: number;
  tokens: number;
  held_out_rows: number;
}

/** The texts that are held out have been measured. */
export interface PretrainEvaluationEvent {
  type: "pretrain_evaluation";
  step: number;
  epoch: number;
  /** The mean cross-entropy of masked tokens. */
  loss: number;
}

/** The pretrained model is written. */
export interface PretrainFinishEvent extends PretrainResult {
  type: "pretrain_finish";
}

/** What pretraining gives; the keys are those of `pretrain --json`. */
export interface PretrainResult {
  model_dir: string;
  steps: number;
  epochs: number;
  device: string;
  tokens_per_second: number;
  /** The mean cross-entropy of masked tokens in the texts that are held out, if any are. */
  held_out_loss: number | null;
}

/** Anything that pretraining reports. */
export type PretrainEvent =
  | DownloadEvent
  | EncodingEvent
  | PretrainStartEvent
  | StepEvent
  | PretrainEvaluationEvent
  | CheckpointEvent
  | PretrainFinishEvent;
