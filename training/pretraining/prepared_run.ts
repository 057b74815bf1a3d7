/**
 * The preparation of a pretraining run: everything that is there before its first step, or before
 * the next one of a run that is resumed.
 *
 * @module
 */
import { checkTextFile } from "../../data/text_files.ts";
import { familyOf } from "../../models/family.ts";
import { SentenceEmbedder } from "../../models/inference/sentence_embedder.ts";
import { Executor, type RemoteTrainingSession } from "../../onnx/runtime/executor.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import type { PretrainEvent } from "../events.ts";
import { lastCheckpoint, readTrainerState, restoreMoments } from "../folder/checkpoints.ts";
import { checkOutDir, checkUnfinished, lockRun, prepareOutDir } from "../folder/run_folder.ts";
import { TrainingInterrupted } from "../interrupted.ts";
import { optimizerOf } from "../optimizer.ts";
import { type PartsPlan, planParts } from "../parts.ts";
import { type StepPlan, stepPlan } from "../step_plan.ts";
import { type PretrainingArgs, writePretrainingArgs } from "./args.ts";
import { pretrainingGraphs } from "./graphs.ts";
import { type MaskedModel, maskedModel, maskedModelWeights } from "./initial_model.ts";
import { PretrainingState } from "./state.ts";
import { type PretrainingTexts, pretrainingTexts, removePretrainingTexts } from "./texts.ts";

/** Options of a pretraining run. */
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

/** A pretraining run that is ready for its next step. */
export interface PreparedRun extends Omit<MaskedModel, "dir">, PretrainingArgs {
  outDir: string;
  /** Whether the run goes on from a checkpoint. */
  isResumed: boolean;
  embedder: SentenceEmbedder | undefined;
  rows: PretrainingTexts;
  plan: StepPlan;
  parts: PartsPlan;
  /** The parameters of the model, and those that only the teacher needs. */
  parameters: ParameterShape[];
  /** The names of the parameters that are trained. */
  trained: string[];
  executor: Executor;
  session: RemoteTrainingSession;
  state: PretrainingState;
  onEvent: (event: PretrainEvent) => void;
  signal: AbortSignal | undefined;
}

/**
 * Prepares a run: its model and texts, the graphs on the device, the folder and the state.
 *
 * @param resources Given all that the run holds until it ends.
 * @throws {UserError} If a file or model cannot be used, or the folder is taken.
 */
export async function prepareRun(
  options: PretrainOptions,
  resources: AsyncDisposableStack,
): Promise<PreparedRun> {
  const { settings, texts, outDir, overwrite = false, resume = false, signal } = options;
  const { onEvent = () => {} } = options;
  const downloads = { onDownload: onEvent, signal };
  const checkpoint = resume ? await lockedCheckpoint(outDir, resources) : undefined;
  if (!resume) await checkOutDir(outDir, { overwrite });
  if (checkpoint === undefined) {
    for (const file of texts) await checkTextFile(file);
  }
  const start = checkpoint === undefined ? settings : { ...settings, model: checkpoint };
  const model = await maskedModel(start, texts, downloads);
  const { config, tokenizer } = model;
  const executor = resources.use(await Executor.start(settings));
  const { teacher, maxLength } = settings;
  const embedder = teacher === undefined
    ? undefined
    : await SentenceEmbedder.load(executor, teacher, maxLength, downloads);
  const graphs = pretrainingGraphs(
    familyOf(config).withDropout(config, settings.dropout),
    embedder && { size: embedder.size, weight: settings.teacherWeight },
    settings.gradientCheckpointing,
  );
  const { parameters, weights } = await maskedModelWeights(model, graphs.parameters, {
    seed: settings.seed,
    teacher: embedder,
  });

  if (!resume) {
    // Only now: a mistake in the settings must not cost the run that is overwritten.
    resources.use(await lockRun(outDir));
    await prepareOutDir(outDir, () => writePretrainingArgs(outDir, options), { overwrite });
  }
  // Texts that an earlier process has encoded with a vocabulary that is not kept are of no use.
  if (checkpoint === undefined) await removePretrainingTexts(outDir);
  const positions = familyOf(config).positions(config).count;
  const encoding = pretrainingTexts(outDir, texts, {
    tokenizer: tokenizer.withMaxLength(Math.min(maxLength, positions)),
    teacher: embedder?.tokenizer,
    heldOut: settings.heldOut,
    onProgress: (count) => onEvent({ type: "encoding", texts: count }),
    signal,
  });
  const rows = resources.use(
    await encoding.catch((error) => {
      if (error !== signal?.reason) throw error;
      throw new TrainingInterrupted(0, outDir);
    }),
  );

  const parts = await planParts({
    ...settings,
    device: executor.choice.device,
    lifetimes: graphs.lifetimes,
    dimensions: (batch, length) => ({
      batch,
      length,
      masked: Math.ceil(settings.maskProbability * length) * batch,
    }),
    lengths: rows.train.lengths,
  });
  const planned = { ...settings, stepMemory: parts.stepMemory };
  await writePretrainingArgs(outDir, { settings: planned, texts });
  const session = await executor.loadTrainingSession({ ...graphs, parameters }, weights, {
    optimizer: optimizerOf(settings),
    dropoutSeed: settings.seed,
    largestDimensions: parts.largest,
  });
  const plan = stepPlan(rows.train.lengths.length, settings);
  const trained = graphs.gradients.map(({ parameter }) => parameter);
  const stored = checkpoint === undefined ? undefined : await readTrainerState(checkpoint);
  if (checkpoint !== undefined) await restoreMoments(checkpoint, session, trained);
  return {
    settings,
    texts,
    outDir,
    isResumed: checkpoint !== undefined,
    config,
    tokenizer,
    embedder,
    rows,
    plan,
    parts,
    parameters,
    trained,
    executor,
    session,
    state: new PretrainingState(plan.stepsPerEpoch, stored),
    onEvent,
    signal,
  };
}

/** Locks the folder of a run that was stopped, and finds the checkpoint from which it goes on. */
async function lockedCheckpoint(
  outDir: string,
  resources: AsyncDisposableStack,
): Promise<string | undefined> {
  resources.use(await lockRun(outDir));
  await checkUnfinished(outDir);
  return await lastCheckpoint(outDir);
}
