/**
 * Reads the weights of a checkpoint in any of the forms in which they are published.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { z } from "zod";
import { checkRegular, exists, readJson, writeWhereAllowed } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { SafetensorsFile } from "./safetensors.ts";
import { spellings } from "../family.ts";
import { ADAPTER_CONFIG_FILE } from "./adapter_files.ts";
import { CONFIG_FILE, type ModelConfig } from "./config.ts";
import type { Weights } from "../weights.ts";

/** The file that holds a model's weights, in its folder. */
export const WEIGHTS_FILE = "model.safetensors";

/** The file that says which shard holds which tensor, where the weights are in several. */
export const WEIGHTS_INDEX_FILE = "model.safetensors.index.json";

/**
 * The file that holds the digest of a folder's weights, which takes seconds to compute, and the
 * marks by which unchanged weights are recognised.
 */
const WEIGHTS_DIGEST_FILE = "onnx/weights_digest.json";

/**
 * The marks by which a system tells a file from all others that were ever in its place. A copy has
 * others, and nobody can set the time of the last change, which is not that of modification.
 */
const FileMarks = z.strictObject({
  name: z.string(),
  size: z.number(),
  inode: z.number(),
  modified_at: z.string(),
  changed_at: z.string(),
});
const WeightsDigest = z.object({ sha256: z.string(), files: z.array(FileMarks) });

/** The bytes of a file that are read at once. */
const BLOCK_BYTES = 2 ** 20;

/** The integer types. */
const INTEGERS = new Set(["I32", "I64"]);

const ShardFile = z.string().regex(/^\w[\w.-]*$/, "must be the name of a file");
const WeightIndex = z.object({ weight_map: z.record(z.string(), ShardFile) });

/**
 * Reads parameters from a folder's `model.safetensors`, in one file or in shards, under any of the
 * names that checkpoints have used for them. Names that the checkpoint lacks are left out.
 *
 * @throws {UserError} If a file is missing or damaged, or a tensor has another shape.
 */
export async function readWeights(
  dir: string,
  config: ModelConfig,
  parameters: readonly ParameterShape[],
): Promise<Weights> {
  const weights: Weights = {};
  let first: string | undefined;
  for (const path of await weightFiles(dir)) {
    using file = await SafetensorsFile.open(path);
    const stored = storedNames(file, config, parameters);
    // Shapes are checked before any weights are read, so that memory is only taken for weights that
    // fit.
    for (const [parameter, key] of stored) checkShape(file.describe(key), parameter, dir);
    for (const [{ name }, key] of stored) {
      weights[name] = finite((await file.read(key)).data as Float32Array, name, dir);
    }
    first ??= file.names()[Symbol.iterator]().next().value;
  }
  if (parameters.length > 0 && Object.keys(weights).length === 0) {
    throw new UserError(
      `Cannot read '${dir}': its ${CONFIG_FILE} is of the family '${config.model_type}', and none ` +
        `of its weights has a name of that; the first is '${first}'`,
    );
  }
  return weights;
}

/**
 * Checks that a folder's weights have the shapes of its configuration, without reading them.
 *
 * @throws {UserError} If a shape differs, or weights are missing.
 */
export async function checkWeights(
  dir: string,
  config: ModelConfig,
  parameters: readonly ParameterShape[],
): Promise<void> {
  const found = new Set<ParameterShape>();
  for (const path of await weightFiles(dir)) {
    using file = await SafetensorsFile.open(path);
    for (const [parameter, key] of storedNames(file, config, parameters)) {
      checkShape(file.describe(key), parameter, dir);
      found.add(parameter);
    }
  }
  const missing = parameters.find((parameter) => !found.has(parameter));
  if (missing === undefined) return;
  throw new UserError(`Cannot read '${dir}': its weights lack '${missing.name}'`);
}

/** A file's names of the parameters that it holds. */
function storedNames(
  file: SafetensorsFile,
  config: ModelConfig,
  parameters: readonly ParameterShape[],
): Map<ParameterShape, string> {
  const stored = new Set(file.names());
  return new Map(parameters.flatMap((parameter): [ParameterShape, string][] => {
    const key = spellings(config, parameter.name).find((name) => stored.has(name));
    return key === undefined ? [] : [[parameter, key]];
  }));
}

/**
 * The files over which a folder's weights are spread, by its {@link WEIGHTS_INDEX_FILE}.
 *
 * @throws {UserError} If that is missing or damaged.
 */
export async function shardFiles(dir: string): Promise<Set<string>> {
  const { weight_map } = await readJson(join(dir, WEIGHTS_INDEX_FILE), WeightIndex);
  return new Set(Object.values(weight_map));
}

/**
 * The SHA-256 of a folder's weights, in hexadecimal: that of `model.safetensors`, or of its shards
 * one after the other in the order of their names.
 *
 * @param keeps Whether to write it beside the weights for the next time, where files may be
 * written.
 * @throws {UserError} If there are no weights.
 */
export async function weightsSha256(
  dir: string,
  { keeps = false }: { keeps?: boolean } = {},
): Promise<string> {
  const paths = await weightFiles(dir);
  const files = await marksOf(paths);
  const kept = files && await keptDigest(dir);
  if (kept !== undefined && isSame(kept.files, files)) return kept.sha256;
  // Times of changes have a resolution of a second: two changes within one look the same.
  const second = new Date(1000 * Math.floor(Date.now() / 1000)).toISOString();
  const isSettled = files?.every(({ changed_at }) => changed_at < second) ?? false;
  const hash = createHash("sha256");
  const block = new Uint8Array(BLOCK_BYTES);
  for (const path of paths) {
    await checkRegular(path);
    using file = await Deno.open(path);
    for (let size; (size = await file.read(block)) !== null;) hash.update(block.subarray(0, size));
  }
  const sha256 = hash.digest("hex");
  // Weights that were replaced meanwhile have another digest.
  if (keeps && isSettled && isSame(files, await marksOf(paths))) {
    const content = JSON.stringify({ sha256, files }, null, 2) + "\n";
    await writeWhereAllowed(join(dir, WEIGHTS_DIGEST_FILE), content);
  }
  return sha256;
}

/** The stored digest of a folder, whatever weights it belongs to. */
async function keptDigest(dir: string): Promise<z.infer<typeof WeightsDigest> | undefined> {
  const path = join(dir, WEIGHTS_DIGEST_FILE);
  if (!await exists(path)) return undefined;
  return await readJson(path, WeightsDigest).catch((error) => {
    // A damaged digest can be computed again.
    if (error instanceof UserError) return undefined;
    throw error;
  });
}

/** The marks of files; `undefined` if the system has none. */
async function marksOf(
  paths: readonly string[],
): Promise<z.infer<typeof FileMarks>[] | undefined> {
  const files: z.infer<typeof FileMarks>[] = [];
  for (const path of paths) {
    const { size, ino: inode, mtime, ctime } = await Deno.stat(path);
    if (inode === null || mtime === null || ctime === null) return undefined;
    const [modified_at, changed_at] = [mtime.toISOString(), ctime.toISOString()];
    files.push({ name: basename(path), size, inode, modified_at, changed_at });
  }
  return files;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * The files that hold a folder's weights, in the order of their names.
 *
 * @throws {UserError} If there are none; the message says what the folder holds instead.
 */
export async function weightFiles(dir: string): Promise<string[]> {
  const isSharded = !await exists(join(dir, WEIGHTS_FILE)) &&
    await exists(join(dir, WEIGHTS_INDEX_FILE));
  const names = isSharded ? [...await shardFiles(dir)].sort() : [WEIGHTS_FILE];
  for (const name of names) {
    if (await exists(join(dir, name))) continue;
    throw new UserError(`Cannot read '${dir}': it holds no ${name}${await otherForm(dir)}`);
  }
  return names.map((name) => join(dir, name));
}

/**
 * The files of weights that Graft does not read, with the Python that does and transformers' options.
 * transformers 5 reads PyTorch's alone, and 4.57 fails on the others.
 */
const OTHER_FORMS = [
  ["pytorch_model.bin", "Python", ""],
  ["pytorch_model.bin.index.json", "Python", ""],
  ["tf_model.h5", "Python, with TensorFlow and transformers 4.48,", ", from_tf=True"],
  ["flax_model.msgpack", "Python, with Flax and transformers 4.48,", ", from_flax=True"],
] as const;

/** The names of files that other programs keep weights in: llama.cpp, TensorFlow 1, PyTorch, Keras. */
const OTHER_WEIGHTS = /\.(gguf|ggml|ckpt|ckpt\.index|pt|pth|bin|h5|keras|npz|msgpack|onnx)$/;

const Architectures = z.looseObject({
  architectures: z.array(z.string()).optional().catch(undefined),
});

/** A sentence that says which files a folder holds in place of weights, and what to do. */
async function otherForm(dir: string): Promise<string> {
  if (await exists(join(dir, ADAPTER_CONFIG_FILE))) {
    return ", but an adapter; name its base instead, or make one model of both by " +
      "'deno task export --merge'";
  }
  for (const [file, python, option] of OTHER_FORMS) {
    if (!await exists(join(dir, file))) continue;
    const configFile = join(dir, CONFIG_FILE);
    const config = await exists(configFile) ? await readJson(configFile, Architectures) : undefined;
    const model = config?.architectures?.[0] ?? "AutoModel";
    const folder = JSON.stringify(dir);
    return `, but ${file}, which Graft does not read; in ${python} transformers.${model}` +
      `.from_pretrained(${folder}${option}).save_pretrained(${folder}) writes the other`;
  }
  for await (const { name } of Deno.readDir(dir)) {
    if (!OTHER_WEIGHTS.test(name)) continue;
    return `, but ${name}, which Graft does not read; look for the same model in the form that ` +
      "transformers' save_pretrained writes";
  }
  if (await exists(join(dir, "onnx", "model.onnx"))) {
    return ", but an ONNX model alone, which can predict and cannot be trained";
  }
  return "";
}

function checkShape(
  { dtype, shape: stored }: ReturnType<SafetensorsFile["describe"]>,
  { name, shape }: ParameterShape,
  dir: string,
): void {
  if (!INTEGERS.has(dtype) && String(stored) === String(shape)) return;
  throw new UserError(
    `Cannot read '${dir}': '${name}' must be floating-point [${shape}], got [${stored}]`,
  );
}

/**
 * The values of a tensor.
 *
 * @param file The file of the tensor, for the error.
 * @throws {UserError} If a value is not finite: nothing computed with it would mean anything.
 */
export function finite(values: Float32Array, name: string, file: string): Float32Array {
  // The product is 0, unless a value is infinite or NaN.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  if (sum === 0) return values;
  const value = values.find((value) => !Number.isFinite(value));
  throw new UserError(`Cannot read '${file}': '${name}' must hold finite numbers, got ${value}`);
}
