/**
 * Chooses the tokens of a text that a model has to guess while it is pretrained.
 *
 * @module
 */
import { UserError } from "../../lib/user_error.ts";
import type { Tokenizer } from "../../models/text/tokenizer.ts";
import type { Random } from "../../lib/random.ts";

/** A text with hidden tokens. */
export interface MaskedText {
  /** The tokens that the model sees. */
  ids: number[];
  /** The places of the tokens that it has to guess, ascending. */
  positions: number[];
  /** The true tokens at these places. */
  labels: number[];
}

/** The shares of the tokens to guess that become `[MASK]` and a random token. */
const MASKED_SHARE = 0.8;
const RANDOM_SHARE = 0.1;

/** Hides tokens of texts that one tokenizer has encoded. */
export class TokenMasker {
  readonly #maskId: number;
  readonly #isSpecial: boolean[];
  readonly #isContinuation: boolean[];
  readonly #ordinary: number[];

  /** @throws {UserError} If the tokenizer has no `[MASK]`. */
  constructor(tokenizer: Pick<Tokenizer, "tokens" | "maskId" | "isSpecial" | "continuesWord">) {
    const { maskId } = tokenizer;
    if (maskId === undefined) {
      throw new UserError("Cannot hide tokens: the tokenizer has no mask_token, as '[MASK]'");
    }
    this.#maskId = maskId;
    const tokens = tokenizer.tokens();
    this.#isSpecial = tokens.map((_, id) => tokenizer.isSpecial(id));
    this.#isContinuation = tokens.map((_, id) => tokenizer.continuesWord(id));
    this.#ordinary = tokens.flatMap((_, id) => this.#isSpecial[id] ? [] : id);
  }

  /**
   * Chooses whole words until a share of the tokens is to be guessed, at least one where there is
   * one. Of these tokens 80 % become `[MASK]`, 10 % a random token, and 10 % stay what they are.
   */
  mask(ids: readonly number[], share: number, random: Random): MaskedText {
    const words: number[][] = [];
    for (const [place, id] of ids.entries()) {
      if (this.#isSpecial[id]) continue;
      const continues = this.#isContinuation[id] && words.at(-1)?.at(-1) === place - 1;
      if (continues) words.at(-1)!.push(place);
      else words.push([place]);
    }
    const tokenCount = words.reduce((sum, word) => sum + word.length, 0);
    const wanted = Math.max(1, Math.round(share * tokenCount));
    const positions: number[] = [];
    for (const word of random.shuffle(words)) {
      if (positions.length >= wanted) break;
      // A long word hides more than was asked for only where it is the first.
      if (positions.length + word.length <= wanted || positions.length === 0) {
        positions.push(...word);
      }
    }
    positions.sort((a, b) => a - b);
    const masked = [...ids];
    for (const place of positions) {
      const chance = random.uniform();
      if (chance < MASKED_SHARE) masked[place] = this.#maskId;
      else if (chance < MASKED_SHARE + RANDOM_SHARE) {
        masked[place] = this.#ordinary[random.integer(this.#ordinary.length)]!;
      }
    }
    return { ids: masked, positions, labels: positions.map((place) => ids[place]!) };
  }
}
