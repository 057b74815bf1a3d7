/**
 * `trainer_state.json` and `training_args.json`, with transformers' keys.
 *
 * @module
 */
import type { EvaluationEvent, TrainEvent } from "./events.ts";
import type { TrainSettings } from "./settings.ts";
import { BEST_METRIC, bestMetricOf } from "./metrics.ts";
import { mapKeys, snakeCase } from "./snake_case.ts";

/** Between two entries of the log, in steps. */
const LOGGING_STEPS = 50;

/** The content of `trainer_state.json`. */
export function trainerState(
  log: readonly TrainEvent[],
  settings: TrainSettings & { epochs: number },
): Record<string, unknown> {
  const steps = log.filter((event) => event.type === "step");
  const evaluations = log.filter((event) => event.type === "evaluation");
  const best = evaluations.findLast((event) => event.best);
  const last = steps.at(-1);
  return {
    best_global_step: best?.step ?? null,
    best_metric: best === undefined ? null : bestMetricOf(best),
    epoch: last?.epoch ?? 0,
    global_step: last?.step ?? 0,
    max_steps: settings.maxSteps ?? -1,
    num_train_epochs: settings.epochs,
    train_batch_size: settings.batchSize,
    logging_steps: LOGGING_STEPS,
    log_history: logHistory(log),
  };
}

/** The mean loss every {@link LOGGING_STEPS} steps, and each evaluation, in order. */
function logHistory(log: readonly TrainEvent[]): Record<string, number>[] {
  const history: Record<string, number>[] = [];
  let losses: number[] = [];
  for (const event of log) {
    if (event.type === "evaluation") history.push(evaluationEntry(event));
    if (event.type !== "step") continue;
    losses.push(event.loss);
    if (event.step % LOGGING_STEPS !== 0) continue;
    history.push({
      epoch: event.epoch,
      step: event.step,
      loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
      grad_norm: event.grad_norm,
      learning_rate: event.learning_rate,
    });
    losses = [];
  }
  return history;
}

function evaluationEntry(event: EvaluationEvent): Record<string, number> {
  const { type: _type, problem_type: _problem, best: _best, epoch, step, ...metrics } = event;
  return { epoch, step, ...mapKeys<number>(metrics, (name) => `eval_${name}`) };
}

/**
 * The content of `training_args.json`: the settings in snake_case, where the data lay, and by what
 * epochs are compared.
 */
export function trainingArgs(settings: TrainSettings, data: string): Record<string, unknown> {
  const { metric, greaterIsBetter } = BEST_METRIC[settings.problemType];
  return {
    ...mapKeys<unknown>(settings, snakeCase),
    data,
    metric_for_best_model: metric,
    greater_is_better: greaterIsBetter,
  };
}
