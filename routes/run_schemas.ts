/**
 * The schemas of requests for runs, and of the answers.
 *
 * @module
 */
import { z } from "zod";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { mapKeys, snakeCase } from "../lib/snake_case.ts";
import { BUNDLED_MODEL, OWN_MODELS } from "../models/own_models.ts";
import { WorkerLabel } from "../orchestration/worker_label.ts";
import { MEASURED_SPLITS } from "../training/evaluation.ts";
import { COMPARED } from "../training/metrics.ts";
import { TrainSettings } from "../training/settings.ts";
import { Figures, Name } from "./schemas.ts";

/** The states in which a run can be. */
export const STATES = ["queued", "running", "lost", "succeeded", "failed", "cancelled"] as const;

/** The server's data sets are tables in the default format, with the default columns. */
const SETTINGS = z.object(TrainSettings.shape).omit({
  columnMapping: true,
  delimiter: true,
  encoding: true,
  skipLabels: true,
  normalizeLabels: true,
}).shape;

const Promote = z.boolean().describe(
  "Whether requests for the name go to this model when it is there, unless its classes are others; " +
    "by default those of a name that is served stay where they are",
);

/** The settings of `train` in snake_case; those that are paths there are none here. */
const Settings = {
  ...mapKeys<z.ZodType>(SETTINGS, snakeCase),
  problem_type: z.enum(PROBLEM_TYPES).optional().describe("That of the data set, if it is given"),
  model: z.string().max(200).default(BUNDLED_MODEL)
    .describe(
      `${OWN_MODELS.join(", ")}, a model of the server, or a base it allows`,
    ),
  init_from: z.enum(["random", "vocab"]).optional().describe("Where virtual tokens start"),
};

const Label = WorkerLabel.describe(
  "In a cluster, the label of a worker that may take the run; without one any may",
);

const Tune = z.strictObject({
  trials: z.int().min(2).max(64).default(8)
    .describe("The settings that are tried, the defaults among them"),
  minutes: z.number().positive().max(100_000).optional().describe(
    "Begin no trial after which the run would end later",
  ),
}).meta({
  id: "TuneRequest",
  description:
    "Search for the learning rate, epochs and size of an adapter first, each trial in a " +
    "run of its own; settings that are given stay as they are",
});

/** A request for a run. */
export const RunRequest = z.strictObject({
  ...Settings,
  tune: Tune.optional(),
  dataset: z.string(),
  name: Name.optional().describe("The name under which the model is served; default: the run's id"),
  promote: Promote.optional(),
  worker_label: Label.optional(),
}).meta({ id: "RunRequest" });

/** The same settings without defaults: a setting that is left out stays as it was. */
export const RetryRequest = z.strictObject(
  Object.fromEntries(
    Object.entries({
      ...Settings,
      ...{ dataset: z.string(), name: Name, promote: Promote, worker_label: Label, tune: Tune },
    }).map(([key, schema]) => [key, z.optional(withoutDefault(schema))]),
  ),
).meta({ id: "RetryRequest" });

const RunProgress = z.object({
  step: z.int(),
  steps: z.int(),
  epoch: z.number(),
  epochs: z.number(),
  device: z.string().optional(),
  loss: z.number().optional(),
  tokens_per_second: z.number().optional(),
  seconds_left: z.number().optional(),
  memory_bytes: z.number().optional().describe("The memory that its process holds, or held last"),
  best: Figures.extend({ step: z.int() }).meta({
    id: "BestEvaluation",
    description: "The best evaluation on the validation file so far",
  }).optional(),
}).meta({ id: "RunProgress" });

/** Another model on the same texts. */
const Rival = Figures.extend({
  interval: z.record(z.string(), z.array(z.number()).length(2)).describe("95 % intervals"),
  p_value: z.number().describe(
    "The probability of a difference this large between two equally good models",
  ),
}).meta({ id: "RivalModel" });

const RunResult = z.object({
  steps: z.int(),
  epochs: z.number(),
  best_epoch: z.number(),
  device: z.string().optional(),
  tokens_per_second: z.number().optional(),
  // The network without the model beside it, and a linear model; null where there is none.
  network_alone: Rival.nullable().optional(),
  linear_baseline: Rival.nullable().optional(),
  metrics: Figures.extend({
    split: z.enum(MEASURED_SPLITS),
    n: z.int(),
    interval: z.record(z.string(), z.array(z.number()).length(2)),
  }).meta({ id: "RunMetrics" }),
}).meta({ id: "RunResult" });

const Tuning = z.object({
  minutes: z.number().optional(),
  trials: z.array(
    z.object({
      learning_rate: z.number(),
      epochs: z.number(),
      lora_rank: z.int().optional(),
      prefix_length: z.int().optional(),
    }).meta({ id: "TrialSettings" }),
  ).describe("The settings that are tried; the first are the defaults"),
  results: z.array(
    z.object({
      trial: z.int().describe("The index of the trial"),
      share: z.number().describe("The share of its steps that it got"),
      steps: z.int(),
      seconds: z.number(),
      value: z.number().describe("The value on the validation file, with the partner"),
      interval: z.array(z.number()).length(2).describe("Its 95 % interval"),
    }).meta({ id: "TrialResult" }),
  ),
  metric: z.enum(COMPARED).describe("The measure by which trials are compared"),
  failed: z.array(z.int()).describe("The indices of trials without a result"),
  best: z.int().optional().describe(
    "The index of the trial whose settings the run has: the best, if it is better than the defaults " +
      "by more than its standard error",
  ),
}).meta({
  id: "Tuning",
  description:
    "The search for settings: until it has ended, the run is running and has no progress",
});

/** A run; the type is complete, and the schema describes the part that clients rely on. */
export const RunAnswer = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.enum(STATES)
    .describe("lost is a running one whose process has been silent for a while"),
  settings: z.record(z.string(), z.unknown()),
  dataset: z.string(),
  created_at: z.string(),
  started_at: z.string().optional(),
  finished_at: z.string().optional(),
  event_count: z.int(),
  attempt: z.int()
    .describe("How often its training or its search for settings has begun, or begun again"),
  checkpoint_step: z.int(),
  progress: RunProgress.optional(),
  cancelling: z.boolean().optional().describe(
    "Whether it was told to stop, which takes a step at most",
  ),
  promote: z.boolean().optional(),
  worker_label: z.string().optional(),
  retry_of: z.string().optional(),
  tuning: Tuning.optional(),
  trial_of: z.string().optional()
    .describe("The run for which this one tries settings; it is not tested and leaves no model"),
  result: RunResult.optional(),
  error: z.string().optional(),
  silent_seconds: z.int().optional(),
  read_only: z.boolean().optional().describe(
    "Whether it was begun on the command line, in the server's folder: it is shown, and neither " +
      "stopped nor resumed here; cancelled then means that its process has ended before it was done",
  ),
  folder: z.string().optional().describe("The folder of a run of the command line"),
}).meta({ id: "Run" });

const numbers = z.array(z.number());

/** The events of a run's stream that are not points of a curve. */
const LogEvent = z.union([
  z.object({
    type: z.literal("state"),
    state: z.enum(STATES),
    error: z.string().optional(),
  }).meta({ id: "RunStateEvent" }),
  z.object({
    type: z.literal("start"),
    model: z.string(),
    device: z.string(),
    device_reason: z.string(),
    parameters: z.int(),
    steps: z.int(),
    steps_done: z.int(),
    epochs: z.number(),
    train_examples: z.int(),
    validation_examples: z.int(),
    truncated: z.int(),
    lost_share: z.number(),
    chunks: z.int(),
    leakage: z.string(),
    notes: z.array(z.string()),
  }).meta({ id: "RunStartEvent" }),
  z.object({ type: z.literal("checkpoint"), step: z.int() }).meta({ id: "RunCheckpointEvent" }),
  z.object({ type: z.literal("download"), file: z.string(), size: z.number().nullable() })
    .meta({ id: "RunDownloadEvent" }),
  z.object({ type: z.literal("finish"), best_epoch: z.number() }).meta({ id: "RunFinishEvent" }),
]).meta({ id: "RunLogEvent" });

/** The curves of a run so far. */
export const RunHistoryAnswer = z.object({
  steps: z.object({
    step: numbers,
    epoch: numbers,
    loss: numbers,
    grad_norm: numbers,
    learning_rate: numbers,
    tokens_per_second: numbers,
  }).meta({
    id: "RunSteps",
    description: "Steps as columns of equal length, thinned out so that peaks stay",
  }),
  evaluations: z.array(
    Figures.extend({ step: z.int(), epoch: z.number(), loss: z.number(), best: z.boolean() })
      .meta({ id: "RunEvaluation" }),
  ),
  log: z.array(z.object({ id: z.int(), event: LogEvent }).meta({ id: "NumberedRunEvent" }))
    .describe("All other events"),
  last_event_id: z.int().describe("The 'after' that continues with the next event"),
  is_live: z.boolean().describe("Whether the stream of its events goes on"),
}).meta({ id: "RunHistory" });

/** The settings that a run would have. */
export const CheckedSettings = z.object({
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
}).meta({ id: "CheckedSettings" });

/** A page of runs. */
export const RunList = z.object({
  runs: z.array(RunAnswer),
  next: z.string().nullable().describe("The 'after' of the next page; null at the end"),
}).meta({ id: "RunList" });

function withoutDefault(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodDefault ? schema.unwrap() as z.ZodType : schema;
}
