/**
 * Several trained models that answer together: adapters of one base share it, and their batches.
 *
 * @module
 */
import { evaluationBatches } from "../data/batches.ts";
import type { ProblemType } from "../data/labels.ts";
import type { Executor } from "../onnx/executor.ts";
import { baseDirOf, isAdapter, readAdapter } from "./adapter.ts";
import { AdapterBank, type BankRow } from "./adapter_bank.ts";
import { BATCH_SIZE, scoresOf } from "./inference.ts";
import { type LabelScore, labelScores, TextClassifier } from "./text_classifier.ts";

/** A text and the folder of the model that is to classify it. */
export interface MixedText {
  model: string;
  text: string;
}

/** Classifies texts, each with a model of its own. */
export class MixedClassifier {
  readonly #classifiers = new Map<string, TextClassifier>();
  /** Of each adapter, that of its base. */
  readonly #banks = new Map<string, AdapterBank>();

  private constructor() {}

  /**
   * Loads models and adapters, and each base once.
   *
   * @param dirs Their folders.
   * @throws {UserError} If one cannot be used.
   */
  static async load(executor: Executor, dirs: Iterable<string>): Promise<MixedClassifier> {
    const mixed = new MixedClassifier();
    const bases = new Map<string, AdapterBank>();
    for (const dir of new Set(dirs)) {
      if (!await isAdapter(dir)) {
        mixed.#classifiers.set(dir, await TextClassifier.load(executor, dir));
        continue;
      }
      const adapter = await readAdapter(dir);
      const baseDir = await Deno.realPath(await baseDirOf(adapter));
      const bank = bases.get(baseDir) ?? await AdapterBank.load(executor, baseDir);
      bases.set(baseDir, bank);
      await bank.add(dir, adapter);
      mixed.#banks.set(dir, bank);
    }
    return mixed;
  }

  /** What the scores of a model mean. */
  problemType(model: string): ProblemType {
    return this.#banks.get(model)?.get(model).problemType ??
      this.#classifiers.get(model)!.problemType;
  }

  /** The classes of each text with their scores, the highest first. */
  async classify(texts: readonly MixedText[]): Promise<LabelScore[][]> {
    const results = new Array<LabelScore[]>(texts.length);
    const groups = Map.groupBy(
      texts.keys(),
      (index) =>
        this.#banks.get(texts[index]!.model) ?? this.#classifiers.get(texts[index]!.model)!,
    );
    for (const [group, indices] of groups) {
      const scores = group instanceof AdapterBank
        ? await classifyInBank(group, indices.map((index) => texts[index]!))
        : await group.classify(indices.map((index) => texts[index]!.text));
      for (const [i, index] of indices.entries()) results[index] = scores[i]!;
    }
    return results;
  }
}

async function classifyInBank(
  bank: AdapterBank,
  texts: readonly MixedText[],
): Promise<LabelScore[][]> {
  const rows = texts.map(({ model, text }): BankRow => ({
    adapter: model,
    ids: bank.get(model).tokenizer.encode(text).ids,
  }));
  const results = new Array<LabelScore[]>(rows.length);
  for (const batch of evaluationBatches(rows.map(({ ids }) => ids.length), BATCH_SIZE)) {
    const logits = await bank.logits(batch.map((index) => rows[index]!));
    for (const [i, index] of batch.entries()) {
      const { problemType, labels } = bank.get(rows[index]!.adapter);
      results[index] = labelScores(scoresOf(logits[i]!, problemType), labels);
    }
  }
  return results;
}
