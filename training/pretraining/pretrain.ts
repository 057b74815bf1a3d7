/**
 * Pretrains a BERT on texts without labels: it learns to guess masked words and, where there is a
 * teacher, to give texts the teacher's embeddings.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { chunks, evaluationBatches, trainingBatches } from "../../data/batches.ts";
import { readJson, writeFileAtomically, writeJson } from "../../data/files.ts";
import { checkTextFile } from "../../data/text_files.ts";
import type { TokenFile } from "../../data/token_file.ts";
import { UserError } from "../../data/user_error.ts";
import { saveModel } from "../../models/classifier.ts";
import { withDropout } from "../../models/config.ts";
import { TEACHER_PROJECTION, WORD_EMBEDDINGS } from "../../models/masked_language_model.ts";
import { safetensorsParts } from "../../models/safetensors.ts";
import { SentenceEmbedder } from "../../models/sentence_embedder.ts";
import { readWeights, WEIGHTS_FILE } from "../../models/weight_files.ts";
import { parameterShapes } from "../../models/weights.ts";
import { Executor, type RemoteTrainingSession, type Tensors } from "../../onnx/executor.ts";
import { Random } from "../../onnx/random.ts";
import { elementCount } from "../../onnx/shape.ts";
import {
  CheckpointClock,
  lastCheckpoint,
  readTrainerState,
  removeCheckpoints,
  restoreMoments,
  saveCheckpoint,
} from "../checkpoints.ts";
import type { PretrainEvent, PretrainResult } from "../events.ts";
import { maskedModel, maskedModelWeights } from "./initial_model.ts";
import { countMasked, maskedFeeds } from "./feeds.ts";
import { TokenMasker } from "./masking.ts";
import { optimizerOf } from "../optimizer.ts";
import { Pace } from "../pace.ts";
import { pretrainedCard } from "./model_card.ts";
import { pretrainingGraphs } from "./graphs.ts";
import { pretrainingRate, PretrainSettings } from "./settings.ts";
import { PretrainingState } from "./state.ts";
import { pretrainingTexts, removePretrainingTexts } from "./texts.ts";
import {
  checkOutDir,
  checkUnfinished,
  lockRun,
  METRICS_FILE,
  prepareOutDir,
} from "../run_folder.ts";
import { camelCase, mapKeys, snakeCase } from "../snake_case.ts";
import { stepPlan } from "../step_plan.ts";
import { StepRunner } from "../step_runner.ts";
import { TrainingInterrupted } from "../interrupted.ts";
import { TRAINER_STATE_FILE } from "../trainer_state.ts";
import { absolute, TRAINING_ARGS_FILE } from "../training_args.ts";
import { taughtEmbeddings } from "./taught_embeddings.ts";

/** Rows that are measured at most, taken evenly from those that are held out. */
const MAX_EVALUATION_ROWS = 2000;
const EVALUATION_BATCH_SIZE = 32;
/** Held-out rows are masked in the same way whenever they are measured. */
const EVALUATION_MASKS = -1;

/** What {@link pretrain} needs. */
export interface PretrainOptions {
  settings: PretrainSettings;
  /** Files with one text a line. */
  texts: readonly string[];
  /** The folder that becomes the model's. */
  outDir: string;
  /** Whether the folder may hold a run already, which is replaced. */
  overwrite?: boolean;
  /** Whether the folder holds an unfinished run of these settings, which goes on. */
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
 * same device with as many threads.
 *
 * @throws {UserError} If a file or model cannot be used, the folder is taken, or the loss stops being
 * a number.
 * @throws {TrainingInterrupted} If the signal aborts.
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const { settings, texts: files, outDir, overwrite = false, resume = false, signal } = options;
  const { onEvent = () => {} } = options;
  const { epochs, batchSize, seed, maskProbability, teacher: teacherName } = settings;

  await using resources = new AsyncDisposableStack();
  if (resume) {
    await checkUnfinished(outDir);
    resources.use(await lockRun(outDir));
  } else {
    await checkOutDir(outDir, { overwrite });
  }
  const checkpoint = resume ? await lastCheckpoint(outDir) : undefined;
  if (checkpoint === undefined) { for (const file of files) await checkTextFile(file); }
  const start = checkpoint === undefined ? settings : { ...settings, model: checkpoint };
  const model = await maskedModel(start, files, { onDownload: onEvent, signal });
  const { config, tokenizer } = model;
  const executor = resources.use(await Executor.start(settings));
  const teacher = teacherName === undefined
    ? undefined
    : await SentenceEmbedder.load(executor, teacherName, settings.maxLength);

  if (!resume) {
    // Only now: a mistake in the settings must not cost the run that is overwritten.
    resources.use(await lockRun(outDir));
    await prepareOutDir(outDir, () => writeArgs(outDir, options), { overwrite });
  }
  // What an earlier process has encoded with a vocabulary that is not kept is of no use.
  if (checkpoint === undefined) await removePretrainingTexts(outDir);
  const texts = resources.use(
    await pretrainingTexts(outDir, files, {
      tokenizer: tokenizer.withMaxLength(settings.maxLength),
      teacher: teacher?.tokenizer,
      heldOut: settings.heldOut,
      onProgress: (count) => onEvent({ type: "encoding", texts: count }),
      signal,
    }).catch((error) => {
      if (error !== signal?.reason) throw error;
      throw new TrainingInterrupted(0, outDir);
    }),
  );
  const { train } = texts;
  const masker = new TokenMasker(tokenizer);
  const partsPerStep = settings.gradientAccumulationSteps;
  const plan = stepPlan(train.lengths.length, settings);
  const { stepsPerEpoch, totalSteps } = plan;

  const graphs = pretrainingGraphs(
    withDropout(config, settings.dropout),
    teacher && { size: teacher.size, weight: settings.teacherWeight },
  );
  const trained = graphs.parameters.map(({ name }) => name);
  // A base's pooler has nothing to learn without a teacher, and stays with it.
  const untrained = parameterShapes(config).filter(({ name }) =>
    name.startsWith("bert.") && !trained.includes(name)
  );
  const kept = model.dir === undefined ? {} : await readWeights(model.dir, untrained);
  const parameters = [...graphs.parameters, ...untrained.filter(({ name }) => name in kept)];
  const weights = await maskedModelWeights(model, graphs.parameters, seed);
  if (teacher !== undefined && model.dir === undefined) {
    weights[WORD_EMBEDDINGS] = await taughtEmbeddings(teacher, tokenizer.tokens(), {
      size: config.hidden_size,
      deviation: config.initializer_range,
      seed,
    });
  }
  const session = await executor.loadTrainingSession(
    graphs,
    weights,
    {
      optimizer: optimizerOf(settings),
      dropoutSeed: seed,
      largestDimensions: {
        batch: batchSize,
        length: train.lengths.reduce((a, b) => Math.max(a, b)),
      },
    },
  );
  const state = new PretrainingState(
    stepsPerEpoch,
    checkpoint === undefined ? undefined : await readTrainerState(checkpoint),
  );
  if (checkpoint !== undefined) await restoreMoments(checkpoint, session, trained);
  const stored: Pick<RemoteTrainingSession, "values"> = {
    values: async (kind, name) =>
      kind === "weights" && kept[name] !== undefined
        ? kept[name].slice()
        : await session.values(kind, name),
  };

  onEvent({
    type: "pretrain_start",
    model: settings.model,
    device: executor.choice.device,
    device_reason: executor.choice.reason,
    parameters: parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    vocabulary: tokenizer.vocabularySize,
    steps: totalSteps,
    steps_done: state.step,
    epochs,
    rows: train.lengths.length,
    tokens: train.lengths.reduce((sum, length) => sum + length, 0),
    held_out_rows: texts.heldOut.lengths.length,
  });

  /** The feeds of one step, whose masks are a function of seed, epoch and row. */
  const prepare = async (parts: readonly number[][], epoch: number): Promise<Tensors[]> => {
    const masked = parts.map((rows) =>
      rows.map((row) => masker.mask(train.row(row), maskProbability, new Random(seed, epoch, row)))
    );
    const maskedCount = countMasked(masked.flat());
    const textCount = masked.flat().length;
    return await Promise.all(masked.map(async (rows, part) => ({
      ...maskedFeeds(rows, config.pad_token_id, maskedCount, textCount),
      ...(teacher && {
        teacher_embeddings: {
          type: "float32" as const,
          shape: [rows.length, teacher.size],
          data: await teacher.embed(parts[part]!.map((row) => texts.teacher!.row(row))),
        },
      }),
    })));
  };

  const clock = new CheckpointClock(settings.saveSteps);
  const save = async () => {
    const dir = await saveCheckpoint(outDir, {
      model: { config, tokenizer },
      parameters,
      session: stored,
      trained,
      state,
      totalLimit: settings.saveTotalLimit,
    });
    clock.restart();
    onEvent({ type: "checkpoint", step: state.step, dir });
  };
  const measure = async () => {
    const loss = await heldOutLoss(session, texts.heldOut, masker, {
      seed,
      maskProbability,
      padId: config.pad_token_id,
      signal,
    });
    if (loss === undefined) return undefined;
    state.addEvaluation(loss);
    onEvent({ type: "pretrain_evaluation", step: state.step, epoch: state.epoch, loss });
    return loss;
  };

  const pace = new Pace(state.step, totalSteps);
  const runner = new StepRunner({
    session,
    state,
    pace,
    learningRate: pretrainingRate(settings),
    ...plan,
    outDir,
    onEvent,
  });
  let finalLoss: number | undefined;
  try {
    while (state.step < totalSteps) {
      const epoch = Math.floor(state.step / stepsPerEpoch);
      const firstStep = epoch * stepsPerEpoch;
      const steps = chunks(
        trainingBatches(train.lengths, { batchSize, seed, epoch, shuffle: true }),
        partsPerStep,
      ).slice(state.step - firstStep, totalSteps - firstStep);
      let next = ahead(prepare(steps[0]!, epoch));
      for (const [i, parts] of steps.entries()) {
        signal?.throwIfAborted();
        const tokenCount = parts.flat().reduce((sum, row) => sum + train.lengths[row]!, 0);
        const submitting = runner.submit(await next, tokenCount);
        // While the device works.
        if (i + 1 < steps.length) next = ahead(prepare(steps[i + 1]!, epoch));
        await submitting;
        const step = runner.submitted;
        const isLast = i + 1 === steps.length;
        const measureFollows = step % settings.evalSteps === 0 && step < totalSteps;
        const saveFollows = clock.isDue(step) && step < totalSteps;
        if (isLast || measureFollows || saveFollows) await runner.settle();
        if (measureFollows) await measure();
        if (saveFollows) await save();
      }
    }
    if (settings.float16) await roundWeights(session, trained);
    finalLoss = await measure();
  } catch (error) {
    if (error !== signal?.reason) throw error;
    await runner.settle();
    await save();
    throw new TrainingInterrupted(state.step, outDir);
  }

  const sources = parameters
    .filter(({ name }) => !name.startsWith(TEACHER_PROJECTION))
    .map(({ name, shape }) => ({ name, shape, read: () => stored.values("weights", name) }));
  const dtype = settings.float16 ? "F16" : "F32";
  await saveModel(
    outDir,
    { config, tokenizer },
    safetensorsParts(sources, { format: "pt" }, dtype),
  );
  const result: PretrainResult = {
    model_dir: outDir,
    steps: state.step,
    epochs: state.epoch,
    device: executor.choice.device,
    tokens_per_second: pace.tokensPerSecond,
    held_out_loss: finalLoss ?? null,
  };
  await writeJson(join(outDir, TRAINER_STATE_FILE), state.toJSON());
  const { size } = await Deno.stat(join(outDir, WEIGHTS_FILE));
  const card = pretrainedCard({
    result,
    settings,
    files: files.map((file) => basename(file)),
    size,
  });
  await writeFileAtomically(join(outDir, "README.md"), card);
  await writeJson(join(outDir, METRICS_FILE), { held_out_loss: result.held_out_loss });
  // Nothing goes on from here.
  texts[Symbol.dispose]();
  await removePretrainingTexts(outDir);
  await removeCheckpoints(outDir);
  onEvent({ type: "pretrain_finish", ...result });
  return result;
}

/** A batch that is awaited later; if the run ends before, its own error is told. */
function ahead<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

/** The mean cross-entropy of masked tokens in rows that are not trained on, if there are any. */
async function heldOutLoss(
  session: Pick<RemoteTrainingSession, "run">,
  rows: TokenFile,
  masker: TokenMasker,
  { seed, maskProbability, padId, signal }: {
    seed: number;
    maskProbability: number;
    padId: number;
    signal: AbortSignal | undefined;
  },
): Promise<number | undefined> {
  const count = Math.min(rows.lengths.length, MAX_EVALUATION_ROWS);
  const chosen = Array.from(
    { length: count },
    (_, i) => Math.floor(i * rows.lengths.length / count),
  );
  const lengths = chosen.map((row) => rows.lengths[row]!);
  let [sum, tokens] = [0, 0];
  for (const batch of evaluationBatches(lengths, EVALUATION_BATCH_SIZE)) {
    signal?.throwIfAborted();
    const masked = batch.map((place) => {
      const row = chosen[place]!;
      return masker.mask(rows.row(row), maskProbability, new Random(seed, EVALUATION_MASKS, row));
    });
    const { losses } = await session.run(maskedFeeds(masked, padId));
    const values = losses!.data as Float32Array;
    sum = values.reduce((sum, loss) => sum + loss, sum);
    tokens += values.length;
  }
  return tokens === 0 ? undefined : sum / tokens;
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

/** What was asked of a run. */
export interface PretrainingArgs {
  settings: PretrainSettings;
  texts: string[];
}

/** Writes down what is asked of a run. */
async function writeArgs(dir: string, { settings, texts }: PretrainOptions): Promise<void> {
  const { model, teacher } = settings;
  const places = {
    model: await absolute(model),
    ...(teacher !== undefined && { teacher: await absolute(teacher) }),
  };
  await writeJson(join(dir, TRAINING_ARGS_FILE), {
    objective: OBJECTIVE,
    ...mapKeys<unknown>({ ...settings, ...places }, snakeCase),
    texts: texts.map((file) => resolve(file)),
  });
}

const OBJECTIVE = "masked_language_modeling";
const StoredArgs = z.looseObject({
  objective: z.literal(OBJECTIVE),
  texts: z.array(z.string()),
});

/**
 * Reads what was asked of a run that is not finished.
 *
 * @throws {UserError} If the folder is not that of such a run.
 */
export async function readUnfinishedPretraining(dir: string): Promise<PretrainingArgs> {
  const file = join(dir, TRAINING_ARGS_FILE);
  const { objective: _, texts, ...rest } = await readJson(file, StoredArgs);
  await checkUnfinished(dir);
  const known = Object.entries(mapKeys<unknown>(rest, camelCase))
    .filter(([key]) => key in PretrainSettings.shape);
  const settings = PretrainSettings.safeParse(Object.fromEntries(known));
  if (settings.success) return { settings: settings.data, texts };
  const { path, message } = settings.error.issues[0]!;
  throw new UserError(`Cannot read '${file}': '${snakeCase(String(path[0]))}' ${message}`);
}
