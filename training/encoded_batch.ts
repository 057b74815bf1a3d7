/**
 * Encoded texts with all tokens in one array, to hand from thread to thread and to write to files.
 *
 * @module
 */
import type { TokenIds } from "../data/batches.ts";
import {
  addLoss,
  type Encoding,
  type TextLoss,
  type TokenCounts,
  type Tokenizer,
} from "../models/text/tokenizer.ts";

/** Encoded texts. */
export interface EncodedBatch {
  /** The tokens of all rows, one after the other. */
  ids: Uint32Array<ArrayBuffer>;
  /** The number of tokens of each row. */
  lengths: Uint32Array<ArrayBuffer>;
  /** The number of rows of each text: one, or one for each chunk of a long text. */
  rows: Uint32Array<ArrayBuffer>;
  /** The loss of tokens on the way into the model. */
  loss: TextLoss;
  /** The number of tokens, and of those that the vocabulary does not have. */
  counts: TokenCounts;
}

/** Encodes a text to its rows, and adds its loss of tokens to that of others. */
export function encodeText(tokenizer: Tokenizer, text: string, loss: TextLoss): TokenIds[] {
  const rows = tokenizer.encodeRows(text) as [Encoding, ...Encoding[]];
  const [{ ids, truncated }] = rows;
  const tokens = ids.length - tokenizer.specialTokenCount;
  const isLong = truncated || rows.length > 1;
  addLoss(loss, isLong ? tokenizer.lossOf([text]) : { texts: 1, long: 0, tokens, lost: 0 });
  return rows.map(({ ids }) => ids);
}

/** Encodes texts. */
export function encodeBatch(tokenizer: Tokenizer, texts: readonly string[]): EncodedBatch {
  const loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  const rowsOfTexts = texts.map((text) => encodeText(tokenizer, text, loss));
  const rows = rowsOfTexts.flat();
  const lengths = Uint32Array.from(rows, (ids) => ids.length);
  const ids = new Uint32Array(lengths.reduce((sum, length) => sum + length, 0));
  let end = 0;
  for (const row of rows) {
    ids.set(row, end);
    end += row.length;
  }
  return {
    ids,
    lengths,
    rows: Uint32Array.from(rowsOfTexts, ({ length }) => length),
    loss,
    counts: tokenizer.countAll(rows.map((ids) => ({ ids }))),
  };
}
