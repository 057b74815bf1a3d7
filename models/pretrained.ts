/**
 * Reads a pretrained model, whatever its head, as the base of a classifier.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import { readWeights } from "./formats/weight_files.ts";
import { type Classifier, readTokenizer } from "./formats/classifier_folder.ts";
import { isHeadParameter, isPoolerParameter, readConfig, withLabels } from "./family.ts";
import { labelsOf } from "./formats/config.ts";
import { outputParameters } from "./heads/calibration.ts";
import { parameterShapes } from "./parameters.ts";
import { initialWeights } from "./weights.ts";

/** A base, with notes for the user on how it was read. */
export interface PretrainedClassifier extends Classifier {
  /** Whether the pooler was drawn, as the base has none. */
  hasNewPooler: boolean;
  notes: string[];
}

/** Settings of {@link pretrainedClassifier}. */
export interface PretrainedOptions {
  /** The seed of parameters that the checkpoint lacks. */
  seed: number;
  /** The most tokens of a text, `[CLS]` and `[SEP]` included. */
  maxLength: number;
  /** Whether a pooler that the base lacks is drawn; it would stay random if it is not trained. */
  drawsPooler?: boolean;
}

/**
 * A classifier on the weights of a folder: `config.json`, the tokenizer's files and
 * `model.safetensors`, in one file or in shards, with or without a head. A head is kept if it is for the same classes, in whatever order, and drawn anew otherwise.
 *
 * @throws {UserError} If the folder holds no model that can be used; the message says what is wrong.
 */
export async function pretrainedClassifier(
  dir: string,
  labels: readonly string[],
  { seed, maxLength, drawsPooler = true }: PretrainedOptions,
): Promise<PretrainedClassifier> {
  const stored = await readConfig(dir);
  const config = withLabels(stored, labels);
  const tokenizer = await readTokenizer(dir, config, maxLength);

  const storedLabels = labelsOf(stored);
  const sameClasses = String(storedLabels.toSorted()) === String([...labels].sort());
  const parameters = parameterShapes(config);
  const found = await readWeights(
    dir,
    config,
    parameters.filter(({ name }) => sameClasses || !isHeadParameter(config, name)),
  );
  const order = labels.map((label) => storedLabels.indexOf(label));
  for (const name of outputParameters(config)) {
    const values = found[name];
    if (values !== undefined) found[name] = reordered(values, order);
  }
  const missing = parameters.filter(({ name }) => !(name in found));
  const made = new Set<string>();
  for (const { name } of missing) {
    if (isHeadParameter(config, name)) made.add("head for these classes");
    else if (isPoolerParameter(config, name) && drawsPooler) made.add("pooler");
    else if (isPoolerParameter(config, name)) {
      throw new UserError(
        `Cannot leave '${dir}' as it is: its weights lack '${name}', and PEFT has no place for a ` +
          "trained pooler beside virtual tokens; use mode lora or full",
      );
    } else throw new UserError(`Cannot read '${dir}': its weights lack '${name}'`);
  }
  const weights = { ...found, ...initialWeights(config, seed, missing) };
  const notes = [...made].map((part) =>
    `The base has no ${part}: a new one is drawn from seed ${seed}`
  );
  return { config, tokenizer, weights, hasNewPooler: made.has("pooler"), notes };
}

/** Rows in another order: row `i` is the former row `order[i]`. */
function reordered(values: Float32Array, order: readonly number[]): Float32Array {
  const width = values.length / order.length;
  const rows = new Float32Array(values.length);
  for (const [row, from] of order.entries()) {
    rows.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return rows;
}
