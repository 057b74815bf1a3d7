/**
 * The checkpoints of a run: `checkpoints/checkpoint-N/` holds the state after step N, so that a run
 * that was stopped anywhere goes on from there to the same weights.
 *
 * Each is a model's or an adapter's folder of its own, with the optimizer's moments beside the
 * weights. That of an adapter holds `model.safetensors` too: the trained parameters, under their
 * own names.
 *
 * @module
 */
import { basename, join } from "node:path";
import {
  exists,
  readJson,
  removeFiles,
  removeFolder,
  writeFileAtomically,
  writeJson,
} from "../../lib/files.ts";
import { saveAdapter } from "../../models/formats/adapter.ts";
import { WEIGHTS_FILE } from "../../models/formats/weight_files.ts";
import { type Classifier, saveModel } from "../../models/formats/classifier_folder.ts";
import { parameterShapes } from "../../models/parameters.ts";
import type { Weights } from "../../models/weights.ts";
import {
  SafetensorsFile,
  safetensorsParts,
  type TensorSource,
} from "../../models/formats/safetensors.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import type { RemoteTrainingSession } from "../../onnx/runtime/executor.ts";
import type { Tuning } from "../initial_model.ts";
import { StoredTrainerState, TRAINER_STATE_FILE, type TrainerState } from "./trainer_state.ts";

/** The folder of the checkpoints, in that of a run. */
export const CHECKPOINTS_DIR = "checkpoints";

/** The file that holds the optimizer's moments, under the names that PyTorch's AdamW has for them. */
const OPTIMIZER_FILE = "optimizer.safetensors";
const MOMENTS = { firstMoments: "exp_avg", secondMoments: "exp_avg_sq" } as const;

/** A checkpoint's folder, relative to that of its run. */
export function checkpointName(step: number): string {
  return `${CHECKPOINTS_DIR}/checkpoint-${step}`;
}

/** The default time between two checkpoints. */
const INTERVAL_MS = 5 * 60_000;

/** Says when the next checkpoint is due: after a number of steps, or by time. */
export class CheckpointClock {
  readonly #saveSteps: number | undefined;
  #savedAt = performance.now();

  constructor(saveSteps: number | undefined) {
    this.#saveSteps = saveSteps;
  }

  /** Whether a checkpoint is due after a step. */
  isDue(step: number): boolean {
    return this.#saveSteps === undefined
      ? performance.now() - this.#savedAt > INTERVAL_MS
      : step % this.#saveSteps === 0;
  }

  /** Begins anew after a checkpoint was written. */
  restart(): void {
    this.#savedAt = performance.now();
  }
}

/** The content of a checkpoint that {@link saveCheckpoint} writes. */
export interface CheckpointContent {
  model: Omit<Classifier, "weights"> & { tuning?: Tuning | undefined };
  /** The parameters of a whole model; by default those of a classifier. */
  parameters?: readonly ParameterShape[];
  session: Pick<RemoteTrainingSession, "values">;
  /** The names of the parameters that are trained. */
  trained: readonly string[];
  state: Pick<TrainerState, "step" | "toJSON"> & Partial<Pick<TrainerState, "best">>;
  /** The number of newest checkpoints to keep, this one included; 1 by default. */
  totalLimit?: number;
}

/**
 * Writes the checkpoint of the present step. The folder takes its name when it is complete; then
 * older ones are removed, except for the best.
 */
export async function saveCheckpoint(
  outDir: string,
  content: CheckpointContent,
): Promise<string> {
  const { state, totalLimit = 1 } = content;
  const dir = join(outDir, checkpointName(state.step));
  if (await exists(dir)) {
    // An evaluation has come after the checkpoint; weights and moments are the same.
    await writeTrainerState(dir, state);
  } else {
    const partial = `${dir}.partial`;
    try {
      await writeCheckpoint(partial, content);
      await Deno.rename(partial, dir);
    } catch (error) {
      await Deno.remove(partial, { recursive: true }).catch(() => {});
      throw error;
    }
  }
  const newest = (await checkpoints(outDir)).sort((a, b) => b.step - a.step);
  const kept = newest.filter(({ step }, place) => place < totalLimit || step === state.best?.step);
  await removeOthers(join(outDir, CHECKPOINTS_DIR), kept.map(({ dir }) => basename(dir)));
  return dir;
}

async function writeCheckpoint(
  dir: string,
  { model, parameters, session, trained, state }: CheckpointContent,
): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const { config, tuning } = model;
  const shapes = parameters ?? parameterShapes(config, tuning?.peft);
  const isTrained = new Set(trained);
  const weights = shapes.filter(({ name }) => tuning === undefined || isTrained.has(name)).map((
    { name, shape },
  ) => ({
    name,
    shape,
    read: () => session.values("weights", name),
  }));
  const content = freedWhenWritten(safetensorsParts(weights, { format: "pt" }));
  if (tuning === undefined) await saveModel(dir, model, content);
  else {
    const values: Weights = {};
    for (const { name, read } of weights) values[name] = await read();
    await saveAdapter(dir, { ...tuning, config, tokenizer: model.tokenizer, weights: values });
    // An adapter's folder has no place for a projection, which training goes on with.
    await writeFileAtomically(join(dir, WEIGHTS_FILE), content);
  }
  const moments = shapes.filter(({ name }) => isTrained.has(name)).flatMap(({ name, shape }) =>
    (["firstMoments", "secondMoments"] as const).map((kind): TensorSource => ({
      name: `${MOMENTS[kind]}.${name}`,
      shape,
      read: () => session.values(kind, name),
    }))
  );
  const optimizer = freedWhenWritten(safetensorsParts(moments, {}));
  await writeFileAtomically(join(dir, OPTIMIZER_FILE), optimizer);
  await writeTrainerState(dir, state);
}

/**
 * Passes on the parts of a file and frees the memory of each when the next is asked for: garbage
 * collection, which counts objects, would free it late.
 */
async function* freedWhenWritten(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    yield part;
    (part.buffer as ArrayBuffer).transfer(0);
  }
}

/** The folder of the newest checkpoint, if there is one. */
export async function lastCheckpoint(outDir: string): Promise<string | undefined> {
  const found = await checkpoints(outDir);
  return found.sort((a, b) => a.step - b.step).at(-1)?.dir;
}

/**
 * Copies the checkpoints of a run, which may be training, into another folder. The copies take no
 * room: files of checkpoints are replaced, never changed.
 *
 * @returns Whether a run can go on from them; otherwise nothing is copied. It cannot if the run has
 * reached its end and has removed the optimizer's moments, or if training replaces the checkpoint at
 * this moment.
 */
export async function copyCheckpoints(from: string, to: string): Promise<boolean> {
  const last = await lastCheckpoint(from);
  if (last === undefined) return false;
  for (const { dir } of await checkpoints(from)) {
    await linkFolder(dir, join(to, CHECKPOINTS_DIR, basename(dir))).catch((error) => {
      // It is being removed, file by file, as there is a newer one.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  if (await lastCheckpoint(from) === last && await exists(join(last, OPTIMIZER_FILE))) return true;
  await removeCheckpoints(to);
  return false;
}

/** Copies a folder by links. */
async function linkFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) await linkFolder(source, target);
    // Some file systems know no links.
    else await Deno.link(source, target).catch(() => Deno.copyFile(source, target));
  }
}

/**
 * Reads the state of a run from a checkpoint.
 *
 * @throws {UserError} If its file is damaged.
 */
export async function readTrainerState(dir: string): Promise<StoredTrainerState> {
  return await readJson(join(dir, TRAINER_STATE_FILE), StoredTrainerState);
}

/**
 * Gives a session the weights of a checkpoint.
 *
 * @throws {UserError} If they are not there or damaged.
 */
export async function restoreWeights(
  dir: string,
  session: Pick<RemoteTrainingSession, "setValues">,
): Promise<void> {
  using file = await SafetensorsFile.open(join(dir, WEIGHTS_FILE));
  for (const name of file.names()) {
    const { data } = await file.read(name);
    await session.setValues("weights", name, data as Float32Array);
  }
}

/**
 * Gives a session the optimizer's moments of a checkpoint.
 *
 * @throws {UserError} If they are not there or damaged.
 */
export async function restoreMoments(
  dir: string,
  session: Pick<RemoteTrainingSession, "setValues">,
  trained: readonly string[],
): Promise<void> {
  using file = await SafetensorsFile.open(join(dir, OPTIMIZER_FILE));
  for (const name of trained) {
    for (const kind of ["firstMoments", "secondMoments"] as const) {
      const { data } = await file.read(`${MOMENTS[kind]}.${name}`);
      await session.setValues(kind, name, data as Float32Array);
    }
  }
}

/** Writes the state of a run into its own folder or that of a checkpoint. */
export async function writeTrainerState(
  dir: string,
  state: Pick<TrainerState, "toJSON">,
): Promise<void> {
  await writeJson(join(dir, TRAINER_STATE_FILE), state.toJSON(checkpointName));
}

/** Removes the optimizer's moments from the checkpoints of a run that will not go on. */
export async function removeOptimizerStates(outDir: string): Promise<void> {
  for (const { dir } of await checkpoints(outDir)) await removeFiles(dir, [OPTIMIZER_FILE]);
}

/** Removes all checkpoints of a run that is over and keeps no best one. */
export async function removeCheckpoints(outDir: string): Promise<void> {
  const parent = join(outDir, CHECKPOINTS_DIR);
  await removeFolder(parent);
}

/** Lists the checkpoints that are complete. */
async function checkpoints(outDir: string): Promise<{ step: number; dir: string }[]> {
  const parent = join(outDir, CHECKPOINTS_DIR);
  if (!await exists(parent)) return [];
  const names = (await Array.fromAsync(Deno.readDir(parent))).map(({ name }) => name);
  return names.flatMap((name) => {
    const step = /^checkpoint-(\d+)$/.exec(name)?.[1];
    return step === undefined ? [] : { step: Number(step), dir: join(parent, name) };
  });
}

/** Removes all entries of a folder but some: older checkpoints, and incomplete ones. */
async function removeOthers(dir: string, kept: readonly string[]): Promise<void> {
  for (const { name } of await Array.fromAsync(Deno.readDir(dir))) {
    if (!kept.includes(name)) await Deno.remove(join(dir, name), { recursive: true });
  }
}
