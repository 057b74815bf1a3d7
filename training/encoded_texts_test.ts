import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { BUNDLED_MODEL } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import { encodeBatch } from "./encoded_batch.ts";
import { GrowingTexts } from "./encoded_texts.ts";

const TEXTS = Array.from({ length: 50 }, (_, i) => `text ${i} `.repeat(1 + i % 7).trim());
const ROWS = TEXTS.map((text) => ({ text, label: "a" }));
const TOKENIZER = (await Tokenizer.load(await modelDir(BUNDLED_MODEL))).withMaxLength(12);

/** Runs a test with texts whose tokens are made by a function. */
async function withTexts(
  encode: (texts: readonly string[]) => ReturnType<typeof encodeBatch>,
  test: (texts: GrowingTexts, calls: string[][]) => Promise<void>,
) {
  const dir = await Deno.makeTempDir();
  const calls: string[][] = [];
  try {
    using texts = new GrowingTexts(ROWS, {
      file: join(dir, "tokens"),
      encode: async (texts) => {
        calls.push([...texts]);
        return await Promise.resolve(encode(texts));
      },
      parallel: 2,
      onProgress: () => {},
    });
    await test(texts, calls);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("GrowingTexts gives the tokens of texts in any order, each encoded once", async () => {
  await withTexts((texts) => encodeBatch(TOKENIZER, texts), async (texts, calls) => {
    const wanted = [[3, 1, 40], [40, 2], [1, 3], [...TEXTS.keys()].reverse()];
    const ahead = texts.encodeAhead(wanted.toReversed());
    for (const rows of wanted) {
      await texts.ready(rows);
      for (const row of rows) {
        const { ids } = TOKENIZER.encode(TEXTS[row]!);
        deepStrictEqual([texts.ids(row), texts.lengths[row]], [ids, ids.length]);
      }
    }
    await ahead;
    deepStrictEqual(calls.flat().toSorted(), TEXTS.toSorted());
    deepStrictEqual(texts.loss, TOKENIZER.lossOf(TEXTS));
  });
});

Deno.test("GrowingTexts tells of a failure whoever waits for the texts", async () => {
  const fail = () => {
    throw new Error("no room");
  };
  await withTexts(fail, async (texts) => {
    await texts.encodeAhead([[0, 1]]);
    await rejects(texts.ready([1]), { message: "no room" });
  });
});
