/**
 * The treatment of texts that have more tokens than a model takes.
 *
 * @module
 */
import { z } from "zod";

/** A way to treat texts that are too long. */
export type LongTextStrategy = "truncate" | "head-tail" | "chunk";

/** All ways to treat texts that are too long. */
export const LONG_TEXTS: readonly LongTextStrategy[] = ["truncate", "head-tail", "chunk"];

/** A way to join the logits of chunks to those of their text. */
export type ChunkJoin = "mean" | "max";

/** All ways to join the logits of chunks. */
export const CHUNK_JOINS: readonly ChunkJoin[] = ["mean", "max"];

/** The most chunks of a text; a longer one loses its end. */
export const MAX_CHUNKS = 64;

/** The schema of {@link LongTexts}, as files hold it. */
export const LongTexts = z.object({
  strategy: z.enum(LONG_TEXTS),
  /** The number of tokens that neighbouring chunks share, as transformers' tokenizers count it. */
  stride: z.int().min(0).default(0),
  join: z.enum(CHUNK_JOINS).default("mean"),
});

/** The treatment of texts that are too long. */
export type LongTexts = z.infer<typeof LongTexts>;

/** The default treatment. */
export const TRUNCATE: LongTexts = { strategy: "truncate", stride: 0, join: "mean" };

/**
 * The first quarter of the available tokens from the start of a text, and the rest from its end, as
 * Sun et al., "How to Fine-Tune BERT for Text Classification?" (2019) take 128 and 382 of 510.
 */
export function headAndTail(tokens: readonly number[], room: number): number[] {
  const head = Math.floor(room / 4);
  return [...tokens.slice(0, head), ...tokens.slice(tokens.length - (room - head))];
}

/** A text in chunks. */
export interface Chunks {
  chunks: number[][];
  /** Whether the end of the text is in no chunk. */
  truncated: boolean;
}

/**
 * The chunks of a text, each with as many tokens as there is room for: a last one that would be
 * shorter overlaps more with the one before it.
 */
export function chunksOf(tokens: readonly number[], room: number, stride: number): Chunks {
  const kept = keptTokens(tokens.length, room, { strategy: "chunk", stride });
  const chunks: number[][] = [];
  const step = stepOf(room, stride);
  for (let end = Math.min(room, kept);; end = Math.min(kept, end + step)) {
    chunks.push(tokens.slice(Math.max(0, end - room), end));
    if (end === kept) return { chunks, truncated: kept < tokens.length };
  }
}

/** The number of a text's tokens that get into a model. */
export function keptTokens(
  tokens: number,
  room: number,
  { strategy, stride }: Pick<LongTexts, "strategy" | "stride">,
): number {
  const most = strategy === "chunk" ? room + (MAX_CHUNKS - 1) * stepOf(room, stride) : room;
  return Math.min(tokens, most);
}

/** The distance between the starts of two chunks. */
function stepOf(room: number, stride: number): number {
  return Math.max(1, room - stride);
}
