/**
 * Adapters: the parameters tuned beside a frozen base, in a folder that PEFT loads as it is. Beside
 * PEFT's own files it holds `config.json`, the base's with the names of the adapter's classes, and
 * the base's tokenizer; the metadata of its weights say which base they belong to.
 *
 * @module
 */
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import {
  checkRegular,
  exists,
  readJson,
  removeFiles,
  writeFileAtomically,
  writeJson,
} from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { finite, readWeights, WEIGHTS_FILE, weightsSha256 } from "./weight_files.ts";
import { CONFIG_FILE, labelsOf, type ModelConfig } from "./config.ts";
import { BUNDLED_MODEL } from "../own_models.ts";
import { FAMILIES, familyOf, isPoolerParameter, readConfig, withLabels } from "../family.ts";
import { elementCount } from "../../onnx/graph/shape.ts";
import { modelDir } from "../hub.ts";
import { checkLinks } from "./model_folder.ts";
import { ADAPTER_METHODS, methodOf, type PeftConfig } from "../tuners/tuner.ts";
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from "./adapter_files.ts";
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "./safetensors.ts";
import { loadPartner, type PooledPartner } from "../partner/partner_file.ts";
import { LongTexts, TRUNCATE } from "../text/long_texts.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { MIN_LENGTH } from "./tokenizer_files.ts";
import { ONNX_FILES } from "../onnx_model.ts";
import {
  baseParameters,
  frozenBase,
  ownsPooler,
  parameterShapes,
  savedParameters,
} from "../parameters.ts";
import type { Weights } from "../weights.ts";

/** The fields of {@link ADAPTER_CONFIG_FILE} that every adapter has. */
const AdapterConfig = z.looseObject({
  peft_type: z.enum(ADAPTER_METHODS.map(({ peftType }) => peftType)),
  task_type: z.literal("SEQ_CLS"),
  base_model_name_or_path: z.string().min(1),
  revision: z.string().nullable().default(null),
});

/** The metadata of adapter weights that Graft wrote. */
const Metadata = z.object({
  base_model_sha256: z.string().optional(),
  model_max_length: z.coerce.number().int().positive().optional(),
  long_texts: z.string().transform((json, context) => {
    try {
      return LongTexts.parse(JSON.parse(json));
    } catch {
      context.addIssue({
        code: "custom",
        message: `must say how long texts are treated, got ${json}`,
      });
      return z.NEVER;
    }
  }).optional(),
});

/** The model that an adapter was tuned on. */
export interface Base {
  /** A folder, or a name on the hub as `modelDir()` takes it. */
  name: string;
  /** The digest of the base's weights; absent if PEFT wrote the adapter. */
  sha256?: string | undefined;
}

/** The parameters that were tuned beside a frozen base. */
export interface Adapter {
  base: Base;
  peft: PeftConfig;
  /** The base's configuration, with the adapter's classes. */
  config: ModelConfig;
  /** The tuned parameters, and the head's. */
  weights: Weights;
  /** The base's tokenizer, which cuts texts to {@link maxLength} for all who load the folder. */
  tokenizer: Tokenizer;
  /** The most tokens of a text, `[CLS]` and `[SEP]` included. */
  maxLength: number;
}

/** An adapter as its folder has it, before its base is known. */
export interface StoredAdapter {
  dir: string;
  base: Base;
  peft: PeftConfig;
  labelCount: number;
  /** The configuration; absent if PEFT wrote the adapter. */
  config?: ModelConfig | undefined;
  weights: Weights;
  maxLength?: number | undefined;
  /** The treatment of texts with more tokens; by default they lose their end. */
  longTexts?: LongTexts | undefined;
  /** The linear model beside the network, if there is one. */
  partner?: PooledPartner | undefined;
}

/** Whether a folder holds an adapter. */
export async function isAdapter(dir: string): Promise<boolean> {
  return await exists(join(dir, ADAPTER_CONFIG_FILE));
}

/** Writes an adapter into a folder, in place of any whole model there. */
export async function saveAdapter(
  dir: string,
  { base, peft, config, weights, tokenizer, maxLength }: Adapter,
): Promise<void> {
  const method = methodOf(peft);
  const [name, revision = null] = splitName(base.name);
  const tensors = new Map<string, StoredTensor>([
    ...method.toStored(peft, weights),
    ...savedParameters(config, peft).map(({ name, shape }): [string, StoredTensor] => [
      method.baseModelPrefix + name,
      { shape, data: weights[name]! },
    ]),
  ]);
  const metadata = {
    format: "pt",
    model_max_length: String(maxLength),
    ...(tokenizer.longTexts.strategy !== "truncate" && {
      long_texts: JSON.stringify(tokenizer.longTexts),
    }),
    ...(base.sha256 !== undefined && { base_model_sha256: base.sha256 }),
  };
  await Deno.mkdir(dir, { recursive: true });
  await removeFiles(dir, [WEIGHTS_FILE, ...Object.values(ONNX_FILES)]);
  for (const [file, content] of Object.entries(tokenizer.files())) {
    await writeFileAtomically(join(dir, file), content);
  }
  await writeJson(join(dir, CONFIG_FILE), config);
  await writeFileAtomically(
    join(dir, ADAPTER_WEIGHTS_FILE),
    encodeSafetensors({ tensors, metadata }),
  );
  await writeJson(join(dir, ADAPTER_CONFIG_FILE), {
    peft_type: peft.peft_type,
    task_type: "SEQ_CLS",
    inference_mode: true,
    base_model_name_or_path: name,
    revision,
    ...method.storedConfig(peft),
  });
}

/** Removes the adapter of a folder, if it holds one. */
export async function removeAdapter(dir: string): Promise<void> {
  await removeFiles(dir, [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE]);
}

/**
 * Reads an adapter, written by Graft or PEFT, without its base.
 *
 * @throws {UserError} If a file is missing or damaged, the head is missing, or shapes disagree.
 */
export async function readAdapter(dir: string): Promise<StoredAdapter> {
  await checkLinks(dir);
  const configFile = join(dir, ADAPTER_CONFIG_FILE);
  const config = await readJson(configFile, AdapterConfig);
  const method = methodOf(config);
  const peft = await readJson(configFile, method.stored);
  const file = join(dir, ADAPTER_WEIGHTS_FILE);
  if (!await exists(file)) {
    throw new UserError(`Cannot read '${dir}': it holds no ${ADAPTER_WEIGHTS_FILE}`);
  }
  await checkRegular(file);
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(file), file);
  const values = (name: string, shape: readonly (number | undefined)[]) => {
    const tensor = tensors.get(name);
    const fits = tensor?.shape.length === shape.length &&
      shape.every((size, axis) => size === undefined || size === tensor.shape[axis]);
    if (fits && tensor.data instanceof Float32Array) return finite(tensor.data, name, file);
    const found = tensor === undefined ? "there is none" : `got [${tensor.shape}]`;
    throw new UserError(
      `Cannot read '${file}': '${name}' must be floating-point [${
        shape.map((size) => size ?? "any")
      }], ${found}`,
    );
  };
  const prefix = method.baseModelPrefix;
  const heads = new Set(FAMILIES.map(({ names: { output } }) => prefix + output));
  const head = [...heads].find((head) => tensors.has(`${head}.weight`));
  const labelCount = tensors.get(`${head}.bias`)?.data.length;
  if (head === undefined || !labelCount) {
    const names = [...heads].map((head) => `'${head}.weight' and '${head}.bias'`).join(", or ");
    throw new UserError(`Cannot read '${file}': it has no head, ${names}`);
  }
  const known = Metadata.safeParse(metadata);
  if (!known.success) {
    const { path, message } = known.error.issues[0]!;
    throw new UserError(`Cannot read '${file}': its metadata '${path.join(".")}': ${message}`);
  }
  const { base_model_sha256: sha256, model_max_length: maxLength, long_texts: longTexts } =
    known.data;
  const named = await exists(join(dir, CONFIG_FILE)) ? await readConfig(dir) : undefined;
  if (named !== undefined && labelsOf(named).length !== labelCount) {
    const names = labelsOf(named).length;
    throw new UserError(`Cannot read '${dir}': its head has ${labelCount} classes, not ${names}`);
  }
  // These parameters are unknown until the base is known, if PEFT wrote the adapter.
  const parameters = named === undefined ? [] : savedParameters(named, peft);
  for (const { name, shape } of parameters) values(prefix + name, shape);
  const name = config.base_model_name_or_path;
  return {
    dir,
    base: { name: config.revision === null ? name : `${name}@${config.revision}`, sha256 },
    peft,
    labelCount,
    config: named,
    weights: {
      ...Object.fromEntries(
        [...tensors].flatMap(([name, { data }]) =>
          name.startsWith(prefix) && data instanceof Float32Array
            ? [[name.slice(prefix.length), finite(data, name, file)]]
            : []
        ),
      ),
      ...method.fromStored(peft, { names: () => [...tensors.keys()], read: values }),
    },
    maxLength,
    longTexts,
    partner: await loadPartner(dir, labelCount),
  };
}

/**
 * The base that a folder's adapter names, as `modelDir()` takes it.
 *
 * @throws {UserError} If the folder's description of its adapter is damaged.
 */
export async function baseNameOf(dir: string): Promise<string> {
  await checkLinks(dir);
  const { base_model_name_or_path: name, revision } = await readJson(
    join(dir, ADAPTER_CONFIG_FILE),
    AdapterConfig,
  );
  return revision === null ? name : `${name}@${revision}`;
}

/**
 * The folder of the base that an adapter names.
 *
 * @throws {UserError} If the folder does not exist.
 */
export async function baseDirOf({ dir, base }: StoredAdapter): Promise<string> {
  const baseDir = await modelDir(base.name);
  if (await exists(baseDir)) return baseDir;
  throw new UserError(
    `Cannot use '${dir}': its base '${base.name}' is not there; ${ADAPTER_CONFIG_FILE} names it ` +
      "under 'base_model_name_or_path'",
  );
}

/** An adapter together with its base: a whole classifier. */
export interface AdaptedClassifier {
  config: ModelConfig;
  tokenizer: Tokenizer;
  /** The base's weights, and the adapter's in place of its head and perhaps its pooler. */
  weights: Weights;
  peft: PeftConfig;
}

/**
 * Reads the base of an adapter.
 *
 * @param dir The base's folder; by default the one that the adapter names.
 * @throws {UserError} If the base does not exist, or is not the one that the adapter was tuned on;
 * the message names both.
 */
export async function withBase(adapter: StoredAdapter, dir?: string): Promise<AdaptedClassifier> {
  const { peft } = adapter;
  const baseDir = dir ?? await baseDirOf(adapter);
  const config = adaptedConfig(adapter, await readConfig(baseDir));
  await checkBase(adapter, baseDir);
  const weights = await readBaseWeights(baseDir, config, {
    needsPooler: !ownsPooler(config, peft),
  });
  return {
    config,
    tokenizer: adaptedTokenizer(adapter, await Tokenizer.load(baseDir, config.vocab_size), config),
    weights: { ...weights, ...adapter.weights },
    peft,
  };
}

/**
 * Checks that an adapter was tuned on the weights of this folder.
 *
 * @param baseSha256 Returns the digest of those weights; called only if the adapter knows its
 * base's.
 * @throws {UserError} If it was tuned on others; the message names both.
 */
export async function checkBase(
  { dir, base }: StoredAdapter,
  baseDir: string,
  baseSha256: () => Promise<string> = () => weightsSha256(baseDir),
): Promise<void> {
  if (base.sha256 === undefined) return;
  const sha256 = await baseSha256();
  if (sha256 === base.sha256) return;
  throw new UserError(
    `Cannot use '${dir}' on '${baseDir}', whose weights have the SHA-256 ${sha256}: it was tuned ` +
      `on '${base.name}' with ${base.sha256}`,
  );
}

/**
 * The configuration of a base with an adapter's classes.
 *
 * @throws {UserError} If the adapter has the shape of another base.
 */
export function adaptedConfig(
  adapter: StoredAdapter,
  baseConfig: ModelConfig,
): ModelConfig {
  const { dir, base, peft } = adapter;
  const misfit = methodOf(peft).misfit(peft, baseConfig);
  if (misfit !== undefined) throw new UserError(`Cannot use '${dir}' on '${base.name}': ${misfit}`);
  checkPositions(peft, baseConfig, `'${dir}'`);
  const config = withClasses(adapter, baseConfig);
  const ofBase = frozenBase(config, peft);
  const own = parameterShapes(config, peft).filter(({ name }) => !ofBase.has(name));
  for (const { name, shape } of own) {
    if (adapter.weights[name]?.length === elementCount(shape)) continue;
    throw new UserError(
      `Cannot use '${dir}' on '${base.name}': on this base an adapter has '${name}' of [${shape}], ` +
        `and this one has ${name in adapter.weights ? "another" : "none"}`,
    );
  }
  const known = new Set(own.map(({ name }) => name));
  const unknown = Object.keys(adapter.weights).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new UserError(
      `Cannot use '${dir}' on '${base.name}': it also trained '${unknown}', and of a base's own ` +
        "weights Graft takes only a head and a whole pooler from an adapter",
    );
  }
  return config;
}

/**
 * The configuration of a base with the classes of an adapter's head, its calibration and thresholds.
 * PEFT keeps none of these, not even the classes' names.
 */
function withClasses({ labelCount, config }: StoredAdapter, baseConfig: ModelConfig): ModelConfig {
  if (config !== undefined) {
    const { problem_type, calibration, thresholds } = config;
    return {
      ...withLabels(baseConfig, labelsOf(config)),
      problem_type,
      ...calibration !== undefined && { calibration },
      ...thresholds !== undefined && { thresholds },
    };
  }
  const labels = labelsOf(baseConfig);
  return withLabels(
    baseConfig,
    labels.length === labelCount
      ? labels
      : Array.from({ length: labelCount }, (_, i) => `LABEL_${i}`),
  );
}

/** The base's tokenizer, which cuts texts to the room that an adapter's virtual tokens leave. */
export function adaptedTokenizer(
  { peft, maxLength, longTexts = TRUNCATE }: Pick<
    StoredAdapter,
    "peft" | "maxLength" | "longTexts"
  >,
  tokenizer: Tokenizer,
  config: ModelConfig,
): Tokenizer {
  const left = familyOf(config).positions(config).count - methodOf(peft).virtualTokens(peft);
  return tokenizer.withLongTexts(longTexts)
    .withMaxLength(Math.min(maxLength ?? tokenizer.maxLength, left));
}

/**
 * Checks that virtual tokens leave positions for a text.
 *
 * @throws {UserError} If they do not.
 */
export function checkPositions(
  peft: PeftConfig,
  config: ModelConfig,
  what: string,
  maxLength = MIN_LENGTH,
): void {
  const { count: positions } = familyOf(config).positions(config);
  const virtualTokens = methodOf(peft).virtualTokens(peft);
  if (virtualTokens + maxLength <= positions) return;
  throw new UserError(
    `Cannot use ${what}: ${virtualTokens} virtual tokens and ${maxLength} of a text are more ` +
      `than the base's ${positions} positions`,
  );
}

/**
 * Reads all weights of a base but its head's.
 *
 * @param options Whether it must have a pooler, if its family has one; it must by default.
 * @throws {UserError} If it lacks weights.
 */
export async function readBaseWeights(
  baseDir: string,
  config: ModelConfig,
  { needsPooler = true }: { needsPooler?: boolean } = {},
): Promise<Weights> {
  const parameters = baseParameters(config);
  const weights = await readWeights(baseDir, config, parameters);
  const missing = parameters.find(({ name }) =>
    !(name in weights) && (needsPooler || !isPoolerParameter(config, name))
  );
  if (missing === undefined) return weights;
  throw new UserError(`Cannot read '${baseDir}': its weights lack '${missing.name}'`);
}

/** The base as a folder's adapter names it: an absolute folder, or a name on the hub. */
export async function baseOf(model: string): Promise<Base> {
  const dir = await modelDir(model);
  const isFolder = model !== BUNDLED_MODEL && await exists(model);
  return {
    name: isFolder && !isAbsolute(model) ? resolve(model) : model,
    sha256: await weightsSha256(dir),
  };
}

/** Splits `name@revision`; a folder may have an `@` in its name. */
function splitName(name: string): [string, string?] {
  const at = isAbsolute(name) ? -1 : name.indexOf("@");
  return at < 0 ? [name] : [name.slice(0, at), name.slice(at + 1)];
}
