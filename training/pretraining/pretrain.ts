/**
 * Pretrains a BERT on texts without labels: it learns to guess masked words and, where there is a
 * teacher, to give texts the teacher's embeddings.
 *
 * @module
 */
import { basename, join } from "node:path";
import { writeFileAtomically, writeJson } from "../../lib/files.ts";
import { saveModel } from "../../models/formats/classifier_folder.ts";
import { safetensorsParts } from "../../models/formats/safetensors.ts";
import { WEIGHTS_FILE } from "../../models/formats/weight_files.ts";
import { TEACHER_PROJECTION } from "../../models/heads/masked_language_model.ts";
import { OutOfMemoryError } from "../../onnx/runtime/device_memory.ts";
import type { RemoteTrainingSession } from "../../onnx/runtime/executor.ts";
import { parameterCount, type ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import type { PretrainResult, PretrainStartEvent } from "../events.ts";
import { fit, interruptible } from "../fit.ts";
import {
  CheckpointClock,
  lastCheckpoint,
  removeCheckpoints,
  saveCheckpoint,
} from "../folder/checkpoints.ts";
import { cardBase } from "../folder/model_card.ts";
import { METRICS_FILE } from "../folder/run_folder.ts";
import { TRAINER_STATE_FILE } from "../folder/trainer_state.ts";
import { lessStepMemory } from "../parts.ts";
import { StepRunner } from "../step_runner.ts";
import { readUnfinishedPretraining } from "./args.ts";
import { pretrainingStep } from "./feeds.ts";
import { heldOutLoss } from "./held_out.ts";
import { TokenMasker } from "./masking.ts";
import { pretrainedCard } from "./model_card.ts";
import { type PreparedRun, prepareRun, type PretrainOptions } from "./prepared_run.ts";
import { pretrainingRate } from "./settings.ts";
import { removePretrainingTexts } from "./texts.ts";

/**
 * Pretrains a model and writes it into a folder that transformers loads as `BertForMaskedLM`, and
 * `train` as a base.
 *
 * A run that is resumed ends with the same bytes of weights as one that was never stopped, on the
 * same device with as many threads. A run that runs out of memory goes on from its last checkpoint
 * with half of its `stepMemory`.
 *
 * @throws {UserError} If a file or model cannot be used, the folder is taken, or the loss stops being
 * a number.
 * @throws {TrainingInterrupted} If the signal aborts; the signal's reason, if it does so while words
 * are counted or a model is downloaded.
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  try {
    return await runPretraining(options);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    const { settings, texts } = await readUnfinishedPretraining(options.outDir);
    const stepMemory = lessStepMemory(settings.stepMemory, error);
    return await pretrain({
      ...options,
      texts,
      settings: { ...settings, stepMemory },
      resume: true,
    });
  }
}

/** Pretrains as {@link pretrain} does, with parts of one size. */
async function runPretraining(options: PretrainOptions): Promise<PretrainResult> {
  await using resources = new AsyncDisposableStack();
  const run = await prepareRun(options, resources);
  run.onEvent(startEvent(run));
  const { loss, tokensPerSecond } = await trainSteps(run);
  const result: PretrainResult = {
    model_dir: run.outDir,
    steps: run.state.step,
    epochs: run.state.epoch,
    device: run.executor.choice.device,
    tokens_per_second: tokensPerSecond,
    held_out_loss: loss ?? null,
  };
  await saveFinished(run, result);
  run.onEvent({ type: "pretrain_finish", ...result });
  return result;
}

/** The event that tells how the run begins. */
function startEvent(run: PreparedRun): PretrainStartEvent {
  const { settings, executor, rows } = run;
  const { lengths } = rows.train;
  return {
    type: "pretrain_start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: parameterCount(exported(run.parameters)),
    vocabulary: run.tokenizer.vocabularySize,
    steps: run.plan.totalSteps,
    steps_done: run.state.step,
    epochs: settings.epochs,
    rows: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    held_out_rows: rows.heldOut.lengths.length,
  };
}

/** Trains step by step, with measurements and checkpoints between; gives the final loss. */
async function trainSteps(
  run: PreparedRun,
): Promise<{ loss: number | undefined; tokensPerSecond: number }> {
  const { settings, outDir, config, tokenizer, rows, plan, session, state, onEvent, signal } = run;
  const runner = new StepRunner({
    session,
    state,
    learningRate: pretrainingRate(settings),
    ...plan,
    lastCheckpoint: () => lastCheckpoint(outDir),
    onEvent,
  });
  const clock = new CheckpointClock(settings.saveSteps);
  const save = async () => {
    await runner.settle();
    const dir = await saveCheckpoint(outDir, {
      model: { config, tokenizer },
      parameters: run.parameters,
      session,
      trained: run.trained,
      state,
      totalLimit: settings.saveTotalLimit,
    });
    clock.restart();
    onEvent({ type: "checkpoint", step: state.step, dir });
  };
  const masking = {
    masker: new TokenMasker(tokenizer),
    maskProbability: settings.maskProbability,
    padId: config.pad_token_id,
    seed: settings.seed,
  };
  const measure = async () => {
    await runner.settle();
    const loss = await heldOutLoss(session, { ...masking, rows: rows.heldOut, signal });
    if (loss === undefined) return undefined;
    state.addEvaluation(loss);
    onEvent({ type: "pretrain_evaluation", step: state.step, epoch: state.epoch, loss });
    return loss;
  };
  const afterStep = async (step: number) => {
    if (step === plan.totalSteps) return;
    if (step % settings.evalSteps === 0) await measure();
    if (clock.isDue(step)) await save();
  };
  const teacher = run.embedder && { embedder: run.embedder, rows: rows.teacher! };
  const fitting = {
    runner,
    state,
    plan,
    settings: { ...settings, ...run.parts, shuffle: true },
    lengths: rows.train.lengths,
    firstEpoch: Math.floor(state.step / plan.stepsPerEpoch),
    prepare: (parts: number[][], epoch: number) =>
      pretrainingStep(parts, epoch, { ...masking, rows: rows.train, teacher }),
    afterStep,
    signal,
  };
  const loss = await interruptible(async () => {
    // From here on the vocabulary and the encoded texts are kept, whatever happens.
    if (!run.isResumed) await save();
    await fit(fitting);
    if (settings.float16) await roundWeights(session, run.trained);
    return await measure();
  }, { outDir, state, save, signal });
  return { loss, tokensPerSecond: runner.tokensPerSecond };
}

/** Writes the model into the run's folder, with its card and metrics. */
async function saveFinished(run: PreparedRun, result: PretrainResult): Promise<void> {
  const { settings, outDir, config, tokenizer, session } = run;
  const sources = exported(run.parameters).map(({ name, shape }) => ({
    name,
    shape,
    read: () => session.values("weights", name),
  }));
  const dtype = settings.float16 ? "F16" : "F32";
  await saveModel(
    outDir,
    { config, tokenizer },
    safetensorsParts(sources, { format: "pt" }, dtype),
  );
  await writeJson(join(outDir, TRAINER_STATE_FILE), run.state.toJSON());
  const { size } = await Deno.stat(join(outDir, WEIGHTS_FILE));
  const files = run.texts.map((file) => basename(file));
  const base = await cardBase(settings.model);
  const card = pretrainedCard({ result, settings, base, files, size });
  await writeFileAtomically(join(outDir, "README.md"), card);
  await writeJson(join(outDir, METRICS_FILE), { held_out_loss: result.held_out_loss });
  // No run goes on from these.
  run.rows[Symbol.dispose]();
  await removePretrainingTexts(outDir);
  await removeCheckpoints(outDir);
}

/** The parameters of a model, without what only its teacher needs. */
function exported(parameters: readonly ParameterShape[]): ParameterShape[] {
  return parameters.filter(({ name }) => !name.startsWith(TEACHER_PROJECTION));
}

/** Rounds weights to half precision, as they will be stored. */
async function roundWeights(
  session: Pick<RemoteTrainingSession, "values" | "setValues">,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    const rounded = Float16Array.from(await session.values("weights", name));
    await session.setValues("weights", name, Float32Array.from(rounded));
  }
}
