import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import type { StepEvent } from "../events.ts";
import { TrainSettings, withModelDefaults } from "../settings.ts";
import { StoredTrainerState, TrainerState } from "./trainer_state.ts";

const STEPS_PER_EPOCH = 30;

function settings(patience?: number) {
  return withModelDefaults(TrainSettings.parse({ patience }));
}

function stepEvent(step: number, loss: number): StepEvent {
  return {
    type: "step",
    step,
    epoch: step / STEPS_PER_EPOCH,
    loss,
    grad_norm: 1,
    learning_rate: 1e-3,
    tokens_per_second: 1,
    seconds_left: 1,
  };
}

/** Epochs of these validation accuracies. */
function course(accuracies: readonly number[], patience?: number): TrainerState {
  const state = new TrainerState(settings(patience), STEPS_PER_EPOCH);
  for (const [epoch, accuracy] of accuracies.entries()) {
    for (let i = 1; i <= STEPS_PER_EPOCH; i++) {
      state.addStep(stepEvent(epoch * STEPS_PER_EPOCH + i, 2));
    }
    const metrics = { accuracy, f1_macro: accuracy / 2 };
    state.addEvaluation(1, { problem_type: "single_label_classification", ...metrics });
  }
  return state;
}

const name = (step: number) => `checkpoint-${step}`;

Deno.test("TrainerState remembers the first of the best evaluations", () => {
  const { best } = course([0.5, 0.8, 0.8, 0.6]);
  deepStrictEqual([best?.step, best?.epoch, best?.metrics.problem_type], [
    2 * STEPS_PER_EPOCH,
    2,
    "single_label_classification",
  ]);
});

Deno.test("TrainerState runs out of patience", () => {
  deepStrictEqual(course([0.5, 0.4], 2).outOfPatience, false);
  deepStrictEqual(course([0.5, 0.4, 0.3], 2).outOfPatience, true);
  deepStrictEqual(course([0.5, 0.4, 0.3]).outOfPatience, false);
});

Deno.test("TrainerState.toJSON() has transformers' keys", () => {
  deepStrictEqual(course([0.5, 0.8]).toJSON(name), {
    best_global_step: 60,
    best_metric: 0.4,
    best_model_checkpoint: "checkpoint-60",
    epoch: 2,
    global_step: 60,
    max_steps: -1,
    num_train_epochs: 6,
    train_batch_size: 16,
    logging_steps: 50,
    log_history: [
      { epoch: 1, step: 30, eval_loss: 1, eval_accuracy: 0.5, eval_f1_macro: 0.25 },
      {
        epoch: 50 / 30,
        step: 50,
        loss: 2,
        grad_norm: 1,
        learning_rate: 1e-3,
        tokens_per_second: 1,
      },
      { epoch: 2, step: 60, eval_loss: 1, eval_accuracy: 0.8, eval_f1_macro: 0.4 },
    ],
  });
});

Deno.test("TrainerState goes on from what it has written", () => {
  const accuracies = fc.array(fc.integer({ min: 0, max: 5 }).map((n) => n / 5), { maxLength: 8 });
  fc.assert(fc.property(accuracies, fc.nat(), (accuracies, cut) => {
    const before = course(accuracies.slice(0, cut % (accuracies.length + 1)), 3);
    const stored = StoredTrainerState.parse(JSON.parse(JSON.stringify(before.toJSON(name))));
    const after = new TrainerState(settings(3), STEPS_PER_EPOCH, stored);
    deepStrictEqual(after.toJSON(name), before.toJSON(name));
    deepStrictEqual(
      [after.step, after.epochsDone, after.best, after.outOfPatience],
      [before.step, before.epochsDone, before.best, before.outOfPatience],
    );
  }));
});
