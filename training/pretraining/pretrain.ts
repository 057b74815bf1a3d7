/**
 * Pretrains a BERT on texts without labels: it learns to guess masked words and, where there is a
 * teacher, to give texts the teacher's embeddings.
 *
 * @module
 */
import { basename, join } from "node:path";
import { writeFileAtomically, writeJson } from "../../lib/files.ts";
import { checkTextFile } from "../../data/text_files.ts";
import { saveModel } from "../../models/formats/classifier.ts";
import { familyOf } from "../../models/family.ts";
import { TEACHER_PROJECTION } from "../../models/heads/masked_language_model.ts";
import { safetensorsParts } from "../../models/formats/safetensors.ts";
import { SentenceEmbedder } from "../../models/inference/sentence_embedder.ts";
import { WEIGHTS_FILE } from "../../models/formats/weight_files.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { Executor, type RemoteTrainingSession } from "../../onnx/runtime/executor.ts";
import { OutOfMemoryError } from "../../onnx/runtime/device_memory.ts";
import { elementCount } from "../../onnx/graph/shape.ts";
import {
  CheckpointClock,
  lastCheckpoint,
  readTrainerState,
  removeCheckpoints,
  restoreMoments,
  saveCheckpoint,
} from "../folder/checkpoints.ts";
import type { PretrainEvent, PretrainResult } from "../events.ts";
import { fit, interruptible } from "../fit.ts";
import { cardBase } from "../folder/model_card.ts";
import { TrainingInterrupted } from "../interrupted.ts";
import { optimizerOf } from "../optimizer.ts";
import {
  checkOutDir,
  checkUnfinished,
  lockRun,
  METRICS_FILE,
  prepareOutDir,
} from "../folder/run_folder.ts";
import { stepPlan } from "../step_plan.ts";
import { StepRunner } from "../step_runner.ts";
import { TRAINER_STATE_FILE } from "../folder/trainer_state.ts";
import { type PretrainingArgs, readUnfinishedPretraining, writePretrainingArgs } from "./args.ts";
import { lessStepMemory, planParts } from "../parts.ts";
import { pretrainingStep } from "./feeds.ts";
import { pretrainingGraphs } from "./graphs.ts";
import { heldOutLoss } from "./held_out.ts";
import { maskedModel, maskedModelWeights } from "./initial_model.ts";
import { TokenMasker } from "./masking.ts";
import { pretrainedCard } from "./model_card.ts";
import { pretrainingRate } from "./settings.ts";
import { PretrainingState } from "./state.ts";
import { pretrainingTexts, removePretrainingTexts } from "./texts.ts";

/** Options of {@link pretrain}. */
export interface PretrainOptions extends PretrainingArgs {
  /** The folder that becomes the model's. */
  outDir: string;
  /** Whether to replace a run that the folder holds already. */
  overwrite?: boolean;
  /** Whether to go on with the unfinished run of these settings that the folder holds. */
  resume?: boolean;
  /** Called as the run goes on. */
  onEvent?: (event: PretrainEvent) => void;
  /** Stops the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
}

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
  const { settings, texts: files, outDir, overwrite = false, resume = false, signal } = options;
  const { onEvent = () => {} } = options;
  const { seed, maskProbability } = settings;

  await using resources = new AsyncDisposableStack();
  if (resume) {
    resources.use(await lockRun(outDir));
    await checkUnfinished(outDir);
  } else {
    await checkOutDir(outDir, { overwrite });
  }
  const checkpoint = resume ? await lastCheckpoint(outDir) : undefined;
  if (checkpoint === undefined) {
    for (const file of files) await checkTextFile(file);
  }
  const start = checkpoint === undefined ? settings : { ...settings, model: checkpoint };
  const model = await maskedModel(start, files, { onDownload: onEvent, signal });
  const { config, tokenizer } = model;
  const masker = new TokenMasker(tokenizer);
  const executor = resources.use(await Executor.start(settings));
  const embedder = settings.teacher === undefined
    ? undefined
    : await SentenceEmbedder.load(executor, settings.teacher, settings.maxLength, {
      onDownload: onEvent,
      signal,
    });
  const graphs = pretrainingGraphs(
    familyOf(config).withDropout(config, settings.dropout),
    embedder && { size: embedder.size, weight: settings.teacherWeight },
    settings.gradientCheckpointing,
  );
  const { parameters, weights } = await maskedModelWeights(model, graphs.parameters, {
    seed,
    teacher: embedder,
  });

  if (!resume) {
    // Only now: a mistake in the settings must not cost the run that is overwritten.
    resources.use(await lockRun(outDir));
    await prepareOutDir(outDir, () => writePretrainingArgs(outDir, options), { overwrite });
  }
  // Texts that an earlier process has encoded with a vocabulary that is not kept are of no use.
  if (checkpoint === undefined) await removePretrainingTexts(outDir);
  const texts = resources.use(
    await pretrainingTexts(outDir, files, {
      tokenizer: tokenizer.withMaxLength(
        Math.min(settings.maxLength, familyOf(config).positions(config).count),
      ),
      teacher: embedder?.tokenizer,
      heldOut: settings.heldOut,
      onProgress: (count) => onEvent({ type: "encoding", texts: count }),
      signal,
    }).catch((error) => {
      if (error !== signal?.reason) throw error;
      throw new TrainingInterrupted(0, outDir);
    }),
  );
  const { lengths } = texts.train;
  const plan = stepPlan(lengths.length, settings);
  const { stepsPerEpoch, totalSteps } = plan;

  const parts = await planParts({
    device: executor.choice.device,
    lifetimes: graphs.lifetimes,
    dimensions: (batch, length) => ({
      batch,
      length,
      masked: Math.ceil(maskProbability * length) * batch,
    }),
    lengths,
    batchSize: settings.batchSize,
    stepMemory: settings.stepMemory,
    gradientCheckpointing: settings.gradientCheckpointing,
  });
  const { stepMemory } = parts;
  await writePretrainingArgs(outDir, { settings: { ...settings, stepMemory }, texts: files });
  const session = await executor.loadTrainingSession(
    { ...graphs, parameters },
    weights,
    {
      optimizer: optimizerOf(settings),
      dropoutSeed: seed,
      largestDimensions: parts.largest,
    },
  );
  const trained = graphs.gradients.map(({ parameter }) => parameter);
  const state = new PretrainingState(
    stepsPerEpoch,
    checkpoint === undefined ? undefined : await readTrainerState(checkpoint),
  );
  if (checkpoint !== undefined) await restoreMoments(checkpoint, session, trained);

  onEvent({
    type: "pretrain_start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: exported(parameters).reduce((sum, { shape }) => sum + elementCount(shape), 0),
    vocabulary: tokenizer.vocabularySize,
    steps: totalSteps,
    steps_done: state.step,
    epochs: settings.epochs,
    rows: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    held_out_rows: texts.heldOut.lengths.length,
  });

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
      parameters,
      session,
      trained,
      state,
      totalLimit: settings.saveTotalLimit,
    });
    clock.restart();
    onEvent({ type: "checkpoint", step: state.step, dir });
  };
  const source = { masker, maskProbability, padId: config.pad_token_id, seed };
  const teacher = embedder && { embedder, rows: texts.teacher! };
  const measure = async () => {
    await runner.settle();
    const loss = await heldOutLoss(session, { ...source, rows: texts.heldOut, signal });
    if (loss === undefined) return undefined;
    state.addEvaluation(loss);
    onEvent({ type: "pretrain_evaluation", step: state.step, epoch: state.epoch, loss });
    return loss;
  };
  const afterStep = async (step: number) => {
    if (step === totalSteps) return;
    if (step % settings.evalSteps === 0) await measure();
    if (clock.isDue(step)) await save();
  };

  const fitting = {
    runner,
    state,
    plan,
    settings: { ...settings, ...parts, shuffle: true },
    lengths,
    firstEpoch: Math.floor(state.step / stepsPerEpoch),
    prepare: (parts: number[][], epoch: number) =>
      pretrainingStep(parts, epoch, { ...source, rows: texts.train, teacher }),
    afterStep,
    signal,
  };
  const finalLoss = await interruptible(async () => {
    // From here on the vocabulary and the encoded texts are kept, whatever happens.
    if (checkpoint === undefined) await save();
    await fit(fitting);
    if (settings.float16) await roundWeights(session, trained);
    return await measure();
  }, { outDir, state, save, signal });

  const result: PretrainResult = {
    model_dir: outDir,
    steps: state.step,
    epochs: state.epoch,
    device: executor.choice.device,
    tokens_per_second: runner.tokensPerSecond,
    held_out_loss: finalLoss ?? null,
  };
  const sources = exported(parameters).map(({ name, shape }) => ({
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
  await writeJson(join(outDir, TRAINER_STATE_FILE), state.toJSON());
  const { size } = await Deno.stat(join(outDir, WEIGHTS_FILE));
  const names = files.map((file) => basename(file));
  const base = await cardBase(settings.model);
  const card = pretrainedCard({ result, settings, base, files: names, size });
  await writeFileAtomically(join(outDir, "README.md"), card);
  await writeJson(join(outDir, METRICS_FILE), { held_out_loss: result.held_out_loss });
  // No run goes on from these.
  texts[Symbol.dispose]();
  await removePretrainingTexts(outDir);
  await removeCheckpoints(outDir);
  onEvent({ type: "pretrain_finish", ...result });
  return result;
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
