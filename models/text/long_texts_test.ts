import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { chunksOf, headAndTail, keptTokens, MAX_CHUNKS } from "./long_texts.ts";

const count = (length: number) => Array.from({ length }, (_, i) => i);

Deno.test("headAndTail() keeps a quarter from the start and the rest from the end", () => {
  deepStrictEqual(headAndTail(count(20), 8), [0, 1, 14, 15, 16, 17, 18, 19]);
  deepStrictEqual(headAndTail(count(20), 3), [17, 18, 19]);
});

Deno.test("chunksOf() overlaps by the stride, and the last chunk is as long as the others", () => {
  deepStrictEqual(chunksOf(count(10), 4, 1), {
    chunks: [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]],
    truncated: false,
  });
  deepStrictEqual(chunksOf(count(6), 4, 0).chunks, [[0, 1, 2, 3], [2, 3, 4, 5]]);
  deepStrictEqual(chunksOf(count(3), 4, 1).chunks, [[0, 1, 2]]);
  deepStrictEqual(chunksOf([], 4, 1).chunks, [[]]);
});

Deno.test("chunksOf() leaves nothing out but the end of what is too long for all chunks", () => {
  const sizes = fc.record({
    length: fc.nat(2000),
    room: fc.integer({ min: 1, max: 40 }),
    stride: fc.nat(50),
  });
  fc.assert(fc.property(sizes, ({ length, room, stride }) => {
    const { chunks, truncated } = chunksOf(count(length), room, stride);
    const kept = keptTokens(length, room, { strategy: "chunk", stride });
    deepStrictEqual([...new Set(chunks.flat())], count(kept));
    deepStrictEqual(truncated, kept < length);
    ok(chunks.length <= MAX_CHUNKS);
    const size = Math.min(room, length);
    ok(chunks.every((chunk) => chunk.length === size));
  }));
});
