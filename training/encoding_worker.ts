/**
 * The Worker behind `encoding_workers.ts`: encodes texts, away from the thread that trains.
 *
 * @module
 */
import * as Comlink from "comlink";
import { encodeBatch, type EncodedBatch } from "./encoded_batch.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";

let tokenizer: Tokenizer | undefined;

/** The interface of the Worker to `encoding_workers.ts`. */
export const workerApi = {
  /** Reads the tokenizer of a folder. */
  async open(dir: string): Promise<void> {
    tokenizer = await Tokenizer.load(dir);
  },

  /** Encodes texts. */
  encode(texts: readonly string[]): EncodedBatch {
    const batch = encodeBatch(tokenizer!, texts);
    return Comlink.transfer(batch, [batch.ids.buffer, batch.lengths.buffer, batch.rows.buffer]);
  },
};

Comlink.expose(workerApi);
