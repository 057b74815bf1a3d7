/**
 * How a text that has more tokens than a model takes gets into it.
 *
 * @module
 */
import { z } from "zod";

/** The ways to treat texts that are too long. */
export const LONG_TEXTS = ["truncate", "head-tail", "chunk"] as const;

/** How the logits of chunks become those of their text. */
export const CHUNK_JOINS = ["mean", "max"] as const;

/** One of {@link CHUNK_JOINS}. */
export type ChunkJoin = (typeof CHUNK_JOINS)[number];

/** A text in more chunks loses its end. */
export const MAX_CHUNKS = 64;

/** The schema of {@link LongTexts}, as files hold it. */
export const LongTexts = z.object({
  strategy: z.enum(LONG_TEXTS),
  /** How many tokens a chunk has in common with the next, as transformers' tokenizers count it. */
  stride: z.int().min(0).default(0),
  join: z.enum(CHUNK_JOINS).default("mean"),
});

/** The treatment of texts that are too long. */
export type LongTexts = z.infer<typeof LongTexts>;

/** The treatment where nothing is said. */
export const TRUNCATE: LongTexts = { strategy: "truncate", stride: 0, join: "mean" };

/**
 * The first quarter of what there is room for, and the rest from the end of the text, as Sun et al.,
 * "How to Fine-Tune BERT for Text Classification?" (2019) take 128 and 382 of 510.
 */
export function headAndTail(tokens: readonly number[], room: number): number[] {
  const head = Math.floor(room / 4);
  return [...tokens.slice(0, head), ...tokens.slice(tokens.length - (room - head))];
}

/** A text in chunks. */
export interface Chunks {
  chunks: number[][];
  /** Whether the end of the text is in none of them. */
  truncated: boolean;
}

/**
 * The chunks of a text, each of as many tokens as there is room for: where the last would be shorter it
 * has more in common with the one before it.
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

/** How many of a text's tokens get into a model. */
export function keptTokens(
  tokens: number,
  room: number,
  { strategy, stride }: Pick<LongTexts, "strategy" | "stride">,
): number {
  const most = strategy === "chunk" ? room + (MAX_CHUNKS - 1) * stepOf(room, stride) : room;
  return Math.min(tokens, most);
}

/** From the start of a chunk to that of the next. */
function stepOf(room: number, stride: number): number {
  return Math.max(1, room - stride);
}
