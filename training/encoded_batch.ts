/**
 * Encoded texts with all tokens in one array, to hand from thread to thread and to write to files.
 *
 * @module
 */
import {
  addLoss,
  type TextLoss,
  type TokenCounts,
  type Tokenizer,
} from "../models/text/tokenizer.ts";

/** Encoded texts. */
export interface EncodedBatch {
  /** The tokens of all texts, one after the other. */
  ids: Uint32Array<ArrayBuffer>;
  /** The number of tokens of each text. */
  lengths: Uint32Array<ArrayBuffer>;
  /** The loss of tokens on the way into the model. */
  loss: TextLoss;
  /** The number of tokens, and of those that the vocabulary does not have. */
  counts: TokenCounts;
}

/** Encodes texts, each to one row. */
export function encodeBatch(tokenizer: Tokenizer, texts: readonly string[]): EncodedBatch {
  const loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  const rows = texts.map((text) => {
    const { ids, truncated } = tokenizer.encode(text);
    const tokens = ids.length - tokenizer.specialTokenCount;
    addLoss(loss, truncated ? tokenizer.lossOf([text]) : { texts: 1, long: 0, tokens, lost: 0 });
    return ids;
  });
  const lengths = Uint32Array.from(rows, (ids) => ids.length);
  const ids = new Uint32Array(lengths.reduce((sum, length) => sum + length, 0));
  let end = 0;
  for (const row of rows) {
    ids.set(row, end);
    end += row.length;
  }
  return { ids, lengths, loss, counts: tokenizer.countAll(rows.map((ids) => ({ ids }))) };
}
