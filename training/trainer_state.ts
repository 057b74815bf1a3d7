/**
 * `trainer_state.json` and `training_args.json`, with transformers' keys.
 *
 * @module
 */
import type { EvaluationEvent, TrainEvent } from "./events.ts";
import type { TrainSettings } from "./settings.ts";
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
    best_metric: best?.accuracy ?? null,
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
  return {
    epoch: event.epoch,
    step: event.step,
    eval_loss: event.loss,
    eval_accuracy: event.accuracy,
    eval_f1_macro: event.f1_macro,
  };
}

/** The content of `training_args.json`: the settings in snake_case, and where the data lay. */
export function trainingArgs(settings: TrainSettings, data: string): Record<string, unknown> {
  return { ...mapKeys(settings, snakeCase), data };
}
