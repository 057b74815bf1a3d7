/**
 * The events that a run reports: to the progress bar, to the server and to its event stream.
 *
 * @module
 */
import type { DownloadEvent } from "../models/hub.ts";
import type { EvaluationReport, MeasuredSplit } from "./evaluation.ts";
import type { Headline } from "./metrics.ts";
import type { Rival } from "./rival.ts";

/** The run is prepared and begins. */
export interface StartEvent {
  /** The kind of event. */
  type: "start";
  /** The base, as the settings name it. */
  model: string;
  /** The device that trains. */
  device: string;
  /** The reason for the device. */
  device_reason: string;
  /** The number of parameters that are trained. */
  parameters: number;
  /** The number of optimizer steps. */
  steps: number;
  /** Steps that are done already, by the run that this one resumes. */
  steps_done: number;
  /** The passes over the training file. */
  epochs: number;
  /** The texts to train on. */
  train_examples: number;
  /** The texts by which epochs are compared. */
  validation_examples: number;
  /** The number of texts that are longer than the limit and lose a part. */
  truncated: number;
  /** The share of the training texts' tokens that is lost by this. */
  lost_share: number;
  /** The number of chunks of texts that are longer than the limit, where these go in chunks. */
  chunks: number;
  /** The share of the tokens of the training texts that the vocabulary does not have. */
  unknown_share: number;
  /** The number of held-out texts in the training file, in a sentence like that of `data audit`. */
  leakage: string;
  /** Notes for the user on the base, the parts of steps and the encoding. */
  notes: string[];
}

/** An optimizer step is done. */
export interface StepEvent {
  /** The kind of event. */
  type: "step";
  /** Counted from 1. */
  step: number;
  /** The passes over the training file so far, such as 1.5. */
  epoch: number;
  /** The mean loss of the step's texts. */
  loss: number;
  /** The norm of all gradients together, before they are clipped. */
  grad_norm: number;
  /** The learning rate of the step. */
  learning_rate: number;
  /** Tokens without padding, since the start. */
  tokens_per_second: number;
  /** The time until the last step, if the rest goes as fast. */
  seconds_left: number;
  /** The memory of the process that trains, in bytes, where it is known. */
  memory_bytes?: number;
}

/** The validation file has been predicted. */
export type EvaluationEvent = Headline & {
  /** The kind of event. */
  type: "evaluation";
  /** The steps so far. */
  step: number;
  /** The passes over the training file so far. */
  epoch: number;
  /** The mean loss of the validation texts. */
  loss: number;
  /** Whether no evaluation before was as good. */
  best: boolean;
};

/** A checkpoint has been saved, with all that is needed to go on from here. */
export interface CheckpointEvent {
  /** The kind of event. */
  type: "checkpoint";
  /** The steps so far. */
  step: number;
  /** The folder of the checkpoint. */
  dir: string;
}

/** The model is written and the run is over. */
export interface FinishEvent extends TrainResult {
  /** The kind of event. */
  type: "finish";
}

/** The result of a finished run; the keys are those of `train --json`. */
export interface TrainResult {
  /** The name of the run: that of its folder. */
  run: string;
  /** The folder of the run, which is the model's. */
  model_dir: string;
  /** The optimizer steps that were done. */
  steps: number;
  /** The passes over the training file that were done. */
  epochs: number;
  /** The epoch whose weights the model has, counted from 1. */
  best_epoch: number;
  /** The device that trained. */
  device: string;
  /** Tokens without padding. */
  tokens_per_second: number;
  /** The metrics on the test file, or on the validation file where there is no test file. */
  metrics: EvaluationReport & { split: MeasuredSplit };
  /**
   * The figures of a linear model on the same texts; `null` where it would take long, or the
   * problem is not one class a text.
   */
  linear_baseline: Extract<Rival, { problem_type: "single_label_classification" }> | null;
  /** The figures of the network without its partner; `null` where it has none. */
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
  /** The kind of event. */
  type: "encoding";
  /** The number of texts so far. */
  texts: number;
  /** The number of all texts, where it is known. */
  total?: number;
}

/** Pretraining is prepared and begins. */
export interface PretrainStartEvent {
  type: "pretrain_start";
  model: string;
  device: string;
  /** The reason for the device. */
  device_reason: string;
  parameters: number;
  /** The number of word pieces. */
  vocabulary: number;
  steps: number;
  /** Steps that are done already, by the run that this one resumes. */
  steps_done: number;
  epochs: number;
  rows: number;
  tokens: number;
  held_out_rows: number;
}

/** The model has been measured on the held-out texts. */
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

/** The result of pretraining; the keys are those of `pretrain --json`. */
export interface PretrainResult {
  model_dir: string;
  steps: number;
  epochs: number;
  device: string;
  tokens_per_second: number;
  /** The mean cross-entropy of masked tokens in the held-out texts, if there are any. */
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
