/**
 * Several trained models that answer together: adapters of one base share the base and its batches.
 *
 * @module
 */
import type { ProblemType } from "../../data/labels.ts";
import type { Executor } from "../../onnx/runtime/executor.ts";
import { baseDirOf, isAdapter, readAdapter, type StoredAdapter } from "../formats/adapter.ts";
import { readConfig } from "../family.ts";
import { AdapterBank, type BankRow } from "./adapter_bank.ts";
import { tablesOf } from "./bank_tables.ts";
import { byText, encodeText, inBatches, joinLogits, scoresOf } from "./inference.ts";
import { type LabelScore, labelScores, TextClassifier } from "./text_classifier.ts";
import type { TextLoss, TokenCounts } from "../text/tokenizer.ts";
import type { Dtype } from "../onnx_model.ts";

/** A text and the folder of the model that is to classify it. */
export interface MixedText {
  model: string;
  text: string;
}

/** Classifies texts, each with a model of its own. */
export class MixedClassifier {
  readonly #classifiers = new Map<string, TextClassifier>();
  /** The bank of each adapter's base, by the adapter's folder. */
  readonly #banks = new Map<string, AdapterBank>();

  private constructor() {}

  /**
   * Loads models and adapters, and each base once.
   *
   * @param dirs Their folders.
   * @param dtype The type of the weights, those of bases included.
   * @throws {UserError} If one cannot be used.
   */
  static async load(
    executor: Executor,
    dirs: Iterable<string>,
    dtype: Dtype = "fp32",
  ): Promise<MixedClassifier> {
    const mixed = new MixedClassifier();
    const byBase = new Map<string, StoredAdapter[]>();
    for (const dir of new Set(dirs)) {
      if (!await isAdapter(dir)) {
        mixed.#classifiers.set(dir, await TextClassifier.load(executor, dir, dtype));
        continue;
      }
      const adapter = await readAdapter(dir);
      const baseDir = await Deno.realPath(await baseDirOf(adapter));
      byBase.set(baseDir, [...byBase.get(baseDir) ?? [], adapter]);
    }
    for (const [baseDir, adapters] of byBase) {
      const tables = tablesOf(adapters, await readConfig(baseDir));
      const bank = await AdapterBank.load(executor, baseDir, { dtype, tables });
      for (const adapter of adapters) {
        await bank.add(adapter.dir, adapter);
        mixed.#banks.set(adapter.dir, bank);
      }
    }
    return mixed;
  }

  /** The meaning of the scores of a model. */
  problemType(model: string): ProblemType {
    return this.#banks.get(model)?.get(model).problemType ??
      this.#classifiers.get(model)!.problemType;
  }

  /** The numbers of all tokens of texts, and of those that a model does not know. */
  countTokens(model: string, texts: readonly string[]): TokenCounts {
    const tokenizer = this.#banks.get(model)?.get(model).tokenizer;
    return tokenizer?.countAll(texts.flatMap((text) => tokenizer.encodeRows(text))) ??
      this.#classifiers.get(model)!.countTokens(texts);
  }

  /** The part of texts that a model does not see. */
  lossOf(model: string, texts: readonly string[]): TextLoss {
    return (this.#banks.get(model)?.get(model).tokenizer ?? this.#classifiers.get(model)!)
      .lossOf(texts);
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
  const encoded = texts.map(({ model, text }): BankRow[] => {
    const { tokenizer, partner } = bank.get(model);
    return encodeText(tokenizer, partner, text).map((row) => ({ ...row, adapter: model }));
  });
  const logits = await inBatches(encoded.flat(), (batch) => bank.logits(batch));
  return byText(encoded, logits).map((rows, i) => {
    const { problemType, labels, tokenizer } = bank.get(texts[i]!.model);
    return labelScores(scoresOf(joinLogits(rows, tokenizer.longTexts.join), problemType), labels);
  });
}
