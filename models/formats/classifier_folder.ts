/**
 * A classifier and its folder, which transformers, tokenizers and transformers.js load as it is.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../../lib/user_error.ts";
import {
  checkRegular,
  exists,
  removeFiles,
  writeFileAtomically,
  writeJson,
  writeWhereAllowed,
} from "../../lib/files.ts";
import { hasExternalData, modelMetadata, modelParts } from "../../onnx/graph/proto.ts";
import {
  adaptedConfig,
  adaptedTokenizer,
  baseDirOf,
  isAdapter,
  readAdapter,
  removeAdapter,
  withBase,
} from "./adapter.ts";
import {
  checkWeights,
  readWeights,
  weightFiles,
  WEIGHTS_FILE,
  WEIGHTS_INDEX_FILE,
  weightsSha256,
} from "./weight_files.ts";
import { CONFIG_FILE, type ModelConfig } from "./config.ts";
import { familyOf, isHeadParameter, readConfig } from "../family.ts";
import { methodOf } from "../tuners/tuner.ts";
import { safetensorsParts, type TensorSource } from "./safetensors.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { type PooledPartner, savePartner } from "../partner/partner_file.ts";
import {
  classifierGraph,
  type Dtype,
  exportModel,
  ONNX_FILES,
  WEIGHTS_SHA256,
  weightsMetadata,
} from "../onnx_model.ts";
import { parameterShapes } from "../parameters.ts";
import type { Weights } from "../weights.ts";

/** A classifier with everything that belongs to it. */
export interface Classifier {
  config: ModelConfig;
  tokenizer: Tokenizer;
  weights: Weights;
  /** The linear model beside the network, if there is one. */
  partner?: PooledPartner | undefined;
}

/** Writes a classifier into a folder, and as an ONNX model beside it. */
export async function saveClassifier(dir: string, classifier: Classifier): Promise<void> {
  const { config, weights, partner } = classifier;
  await Deno.mkdir(join(dir, "onnx"), { recursive: true });
  const sources = parameterShapes(config).map(({ name, shape }): TensorSource => ({
    name,
    shape,
    read: () => weights[name]!,
  }));
  await saveModel(dir, classifier, safetensorsParts(sources, { format: "pt" }));
  const metadata = weightsMetadata(await weightsSha256(dir));
  const parts = modelParts(classifierGraph(config, weights), { metadata });
  await writeFileAtomically(join(dir, ONNX_FILES.fp32), parts);
  await savePartner(dir, partner);
}

/**
 * Writes the folder of a classifier, without an ONNX model.
 *
 * @param safetensors Its weights, as the content of a file in pieces.
 */
export async function saveModel(
  dir: string,
  { config, tokenizer }: Omit<Classifier, "weights">,
  safetensors: AsyncIterable<Uint8Array>,
): Promise<void> {
  await removeAdapter(dir);
  await removeFiles(dir, Object.values(ONNX_FILES));
  for (const [name, content] of Object.entries(tokenizer.files())) {
    await writeFileAtomically(join(dir, name), content);
  }
  await writeFileAtomically(join(dir, WEIGHTS_FILE), safetensors);
  await writeJson(join(dir, CONFIG_FILE), config);
}

/**
 * Reads a classifier from its folder.
 *
 * @throws {UserError} If the folder holds no classifier, or its weights disagree with its
 * configuration.
 */
export async function loadClassifier(dir: string): Promise<Classifier> {
  const config = await readConfig(dir);
  const tokenizer = await readTokenizer(dir, config);
  const parameters = parameterShapes(config);
  const weights = await readWeights(dir, config, parameters);
  const missing = parameters.find(({ name }) => !(name in weights));
  if (missing === undefined) return { config, tokenizer, weights };
  const isBase = isHeadParameter(config, missing.name);
  throw new UserError(
    `Cannot read '${dir}': its weights lack '${missing.name}'` +
      (isBase ? "; it is a base, which 'train --model' teaches classes" : ""),
  );
}

/**
 * Merges an adapter into its base: a whole model, which takes no longer than the base alone.
 *
 * @throws {UserError} If the folder holds no adapter, or one that cannot be made a part of its base.
 */
export async function mergedClassifier(dir: string): Promise<Classifier> {
  if (!await isAdapter(dir)) {
    throw new UserError(`Cannot merge '${dir}': it holds no adapter, but a whole model or none`);
  }
  const adapter = await readAdapter(dir);
  const { config, tokenizer, weights, peft } = await withBase(adapter);
  const merged = methodOf(peft).merge?.(peft, config, weights);
  if (merged !== undefined) {
    return { config, tokenizer, weights: merged, partner: adapter.partner };
  }
  throw new UserError(
    `Cannot merge '${dir}': its virtual tokens stand beside the weights of its base, not in them`,
  );
}

/**
 * Reads the parts of a classifier, or of an adapter with its base, that inference needs: the ONNX
 * model in place of the weights. A missing one of 8 bits is made, and kept where files may be
 * written.
 *
 * @throws {UserError} If the folder holds neither, or one that cannot be used.
 */
export async function loadForInference(
  dir: string,
  dtype: Dtype = "fp32",
): Promise<Omit<Classifier, "weights"> & { model: Uint8Array }> {
  if (await isAdapter(dir)) {
    const { config, tokenizer, weights, peft } = await withBase(await readAdapter(dir));
    const merged = methodOf(peft).merge?.(peft, config, weights);
    const model = merged === undefined
      ? exportModel(config, weights, { peft, dtype })
      : exportModel(config, merged, { dtype });
    return { config, tokenizer, model };
  }
  const config = await readConfig(dir);
  const tokenizer = await readTokenizer(dir, config);
  const onnxFile = join(dir, ONNX_FILES[dtype]);
  const isThere = await exists(onnxFile);
  const sha256 = isThere || dtype === "q8" ? await sha256Of(dir) : undefined;
  if (isThere) {
    if (sha256 !== undefined) await checkWeights(dir, config, parameterShapes(config));
    await checkRegular(onnxFile);
    const model = await Deno.readFile(onnxFile);
    // A model made from other weights is another model; without weights there is no other.
    const isOwn = sha256 === undefined ||
      modelMetadata(model).get(WEIGHTS_SHA256) === sha256;
    if (isOwn && hasExternalData(model)) {
      throw new UserError(
        `Cannot read '${onnxFile}': a model's tensors must stand in the file itself, and this one names ` +
          "another for some; save it with all of them in one file",
      );
    }
    if (isOwn) return { config, tokenizer, model };
  }
  const { weights } = await loadClassifier(dir);
  const model = exportModel(config, weights, { dtype, weightsSha256: sha256 });
  // A model made from weights that have been replaced meanwhile would pass for theirs.
  if (dtype === "q8" && sha256 === await sha256Of(dir)) await writeWhereAllowed(onnxFile, model);
  return { config, tokenizer, model };
}

/** The SHA-256 of a folder's weights, if it holds any. */
async function sha256Of(dir: string): Promise<string | undefined> {
  const files = [WEIGHTS_FILE, WEIGHTS_INDEX_FILE].map((file) => exists(join(dir, file)));
  return (await Promise.all(files)).includes(true)
    ? await weightsSha256(dir, { keeps: true })
    : undefined;
}

/**
 * Reads the description of a model, without its weights, which must be there.
 *
 * @throws {UserError} If the folder holds no model that can be used.
 */
export async function describeClassifier(dir: string): Promise<Omit<Classifier, "weights">> {
  const adapter = await isAdapter(dir) ? await readAdapter(dir) : undefined;
  const weightsDir = adapter === undefined ? dir : await baseDirOf(adapter);
  const own = await readConfig(weightsDir);
  if (!await exists(join(weightsDir, ONNX_FILES.fp32))) await weightFiles(weightsDir);
  if (adapter === undefined) return { config: own, tokenizer: await readTokenizer(dir, own) };
  const config = adaptedConfig(adapter, own);
  const tokenizer = adaptedTokenizer(
    adapter,
    await Tokenizer.load(weightsDir, own.vocab_size),
    config,
  );
  return { config, tokenizer };
}

/**
 * The tokenizer of a folder, which cuts texts to the model's number of positions, or earlier.
 *
 * @param maxLength The tokens to which longer texts are cut; by default the length that the
 * tokenizer was saved with.
 * @throws {UserError} If it is damaged, or has tokens that the model has no embeddings for.
 */
export async function readTokenizer(
  dir: string,
  config: ModelConfig,
  maxLength?: number,
): Promise<Tokenizer> {
  const tokenizer = await Tokenizer.load(dir, config.vocab_size);
  const wanted = maxLength ?? tokenizer.maxLength;
  return tokenizer.withMaxLength(Math.min(wanted, familyOf(config).positions(config).count));
}
