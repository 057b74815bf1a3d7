import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import type { TokenIds } from "../../data/batches.ts";
import { SPECIAL_TOKENS } from "../../models/formats/tokenizer_files.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { taughtEmbeddings } from "./taught_embeddings.ts";

/** More word pieces than go through a teacher together; one continues a word. */
const PIECES = [...Array.from({ length: 299 }, (_, i) => `word${i}`), "##ing"];
const TOKENS = [...SPECIAL_TOKENS, ...PIECES];
const DEVIATION = 0.02;

/** A point for each word piece, in a plane; together they lie around its origin. */
const POINTS = PIECES.map((_, i): [x: number, y: number] => {
  const angle = 2 * Math.PI * i / PIECES.length;
  const radius = 1 + (i % (PIECES.length / 2)) / PIECES.length;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
});

/** Gives each word piece its point, in a plane somewhere in more dimensions. */
const TEACHER_SIZE = 5;
const ORIGIN = [3, -1, 0.5, 0, 2];
const X_AXIS = [2 / 3, 1 / 3, 0, 2 / 3, 0];
const Y_AXIS = [-2 / 3, 2 / 3, 0, 1 / 3, 0];
const tokenizer = Tokenizer.fromVocabulary(
  [...SPECIAL_TOKENS, ...PIECES.map((piece) => piece.replace("##", ""))],
  { modelMaxLength: 8 },
);
const TEACHER = {
  size: TEACHER_SIZE,
  tokenizer,
  embed: (texts: readonly TokenIds[]) =>
    Promise.resolve(Float32Array.from(texts.flatMap((ids) => {
      const [x, y] = POINTS[ids[1]! - SPECIAL_TOKENS.length]!;
      return ORIGIN.map((value, i) => value + x * X_AXIS[i]! + y * Y_AXIS[i]!);
    }))),
};

/** The rows of the special tokens, and of the word pieces. */
async function taught(size: number, seed: number): Promise<[number[][], number[][]]> {
  const options = { size, deviation: DEVIATION, seed };
  const values = await taughtEmbeddings(TEACHER, TOKENS, options);
  const rows = TOKENS.map((_, i) => [...values.subarray(i * size, (i + 1) * size)]);
  return [rows.slice(0, SPECIAL_TOKENS.length), rows.slice(SPECIAL_TOKENS.length)];
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return dot / Math.hypot(...a) / Math.hypot(...b);
}

function rootMeanSquare(rows: readonly (readonly number[])[]): number {
  const values = rows.flat();
  return Math.hypot(...values) / Math.sqrt(values.length);
}

function checkCosines(rows: readonly (readonly number[])[]): void {
  for (const i of rows.keys()) {
    const other = (7 * i + 1) % rows.length;
    const error = cosine(rows[i]!, rows[other]!) - cosine(POINTS[i]!, POINTS[other]!);
    ok(Math.abs(error) < 1e-4, `'${PIECES[i]}' and '${PIECES[other]}' are off by ${error}`);
  }
}

Deno.test("taughtEmbeddings() keeps the angles between the teacher's embeddings, once centred", async () => {
  const [, pieces] = await taught(2, 7);
  checkCosines(pieces);
  ok(Math.abs(rootMeanSquare(pieces) / DEVIATION - 1) < 1e-4);
});

Deno.test("taughtEmbeddings() draws what means nothing to a teacher from the seed", async () => {
  const [special, pieces] = await taught(2, 7);
  deepStrictEqual(await taught(2, 7), [special, pieces]);
  const [others, samePieces] = await taught(2, 8);
  notDeepStrictEqual(others, special);
  deepStrictEqual(samePieces, pieces);
});

Deno.test("taughtEmbeddings() fills up with noise where the teacher's embeddings are shorter", async () => {
  const [, pieces] = await taught(TEACHER_SIZE + 3, 7);
  checkCosines(pieces.map((row) => row.slice(0, TEACHER_SIZE)));
  const noise = rootMeanSquare(pieces.map((row) => row.slice(TEACHER_SIZE)));
  ok(Math.abs(noise / DEVIATION - 1) < 0.1, `${noise}`);
});
