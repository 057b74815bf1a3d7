/**
 * A model before its first step: a whole one, or an adapter on a frozen base.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import {
  adaptedTokenizer,
  type Adapter,
  baseOf,
  checkBase,
  checkPositions,
  readAdapter,
} from "../models/formats/adapter.ts";
import { familyOf } from "../models/family.ts";
import { readWeights } from "../models/formats/weight_files.ts";
import { type Classifier, loadClassifier } from "../models/formats/classifier_folder.ts";
import { scratchSizeOf } from "../models/own_models.ts";
import { type HubOptions, modelDir } from "../models/hub.ts";
import { pretrainedClassifier } from "../models/pretrained.ts";
import { scratchClassifier } from "../models/scratch.ts";
import {
  type AdapterMethod,
  type KnownBase,
  type PeftConfig,
  tunerOf,
} from "../models/tuners/tuner.ts";
import { parameterShapes } from "../models/parameters.ts";
import type { Weights } from "../models/weights.ts";
import type { TrainSettings } from "./settings.ts";

/** The adapter that is trained where the base is frozen. */
export type Tuning = Pick<Adapter, "base" | "peft" | "maxLength">;

/** A classifier that is ready to be trained, with notes for the user on how it was made. */
export interface InitialModel extends Classifier {
  /** Present where the base is frozen. */
  tuning?: Tuning;
  notes: string[];
}

/**
 * Makes the model that the settings describe.
 *
 * @param texts The texts from which a model with random weights learns its vocabulary.
 * @throws {UserError} If the base cannot be used.
 */
export async function initialModel(
  settings: TrainSettings,
  labels: readonly string[],
  texts: Iterable<string>,
  options: HubOptions,
): Promise<InitialModel> {
  const { mode, model, seed, maxLength } = settings;
  const size = scratchSizeOf(model);
  if (size !== undefined) {
    return { notes: [], ...scratchClassifier(size, texts, labels, { seed, maxLength }) };
  }
  const dir = await modelDir(model, options);
  const { method } = tunerOf(mode);
  if (method === undefined) return await pretrainedClassifier(dir, labels, { seed, maxLength });
  return await adaptedModel(
    dir,
    method,
    settings,
    labels,
    (peft, base) => method.initialWeights(peft, base, settings),
  );
}

/**
 * Loads a base and gives it an adapter.
 *
 * @param weightsOf Gives the weights that are trained beside the base, and perhaps a head.
 */
async function adaptedModel(
  dir: string,
  method: AdapterMethod,
  settings: TrainSettings,
  labels: readonly string[],
  weightsOf: (peft: PeftConfig, base: KnownBase) => Promise<Weights>,
): Promise<InitialModel & { tuning: Tuning }> {
  const { mode, model, seed, maxLength } = settings;
  const { hasNewPooler, ...classifier } = await pretrainedClassifier(dir, labels, {
    seed,
    maxLength,
    drawsPooler: method.savesModules,
  });
  const { config, tokenizer, weights } = classifier;
  const peft = method.configOf(
    settings,
    config,
    hasNewPooler ? [familyOf(config).names.pooler!] : [],
  );
  const misfit = method.misfit(peft, config);
  if (misfit !== undefined) {
    throw new UserError(`Cannot use mode ${mode} on '${model}': ${misfit}`);
  }
  checkPositions(peft, config, `this prefix length and max length with '${model}'`, maxLength);
  return {
    ...classifier,
    tokenizer: adaptedTokenizer({ peft, maxLength }, tokenizer, config),
    weights: { ...weights, ...await weightsOf(peft, classifier) },
    tuning: { base: await baseOf(model), peft, maxLength },
  };
}

/**
 * Loads the model of a checkpoint.
 *
 * @throws {UserError} If it is damaged, or the base has changed since.
 */
export async function resumedModel(
  checkpoint: string,
  settings: TrainSettings,
  labels: readonly string[],
  options: HubOptions,
): Promise<InitialModel> {
  const { method } = tunerOf(settings.mode);
  if (method === undefined) return { notes: [], ...await loadClassifier(checkpoint) };
  const dir = await modelDir(settings.model, options);
  await checkBase(await readAdapter(checkpoint), dir);
  const trained = (peft: PeftConfig, { config }: KnownBase) =>
    readWeights(checkpoint, config, parameterShapes(config, peft));
  return { ...await adaptedModel(dir, method, settings, labels, trained), notes: [] };
}
