import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import type { TokenFile } from "../../data/token_file.ts";
import { SPECIAL_TOKENS } from "../../models/formats/tokenizer_files.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { pretrainingTexts, RowPacker } from "./texts.ts";

const WORDS = ["one", "two", "three"];
const MAX_LENGTH = 8;
const tokenizer = Tokenizer.fromVocabulary([...SPECIAL_TOKENS, ...WORDS], {
  modelMaxLength: MAX_LENGTH,
});
const [CLS, SEP] = ["[CLS]", "[SEP]"].map((token) => SPECIAL_TOKENS.indexOf(token));
const texts = fc.array(
  fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 20 }).map((it) => it.join(" ")),
  { maxLength: 20 },
);

Deno.test("RowPacker puts every token of every text into a row, in order", () => {
  fc.assert(fc.property(texts, (texts) => {
    const packer = new RowPacker(tokenizer);
    const rows = [...texts.flatMap((text) => packer.add(text)), ...packer.rest()];
    const words = (ids: number[]) => ids.filter((id) => id !== CLS && id !== SEP);
    deepStrictEqual(
      words(rows.flat()),
      words(texts.flatMap((text) => tokenizer.encodeWhole(text))),
    );
    for (const row of rows) {
      ok(row.length <= MAX_LENGTH);
      deepStrictEqual([row[0], row.at(-1)], [CLS, SEP]);
      deepStrictEqual(row.lastIndexOf(CLS!), 0);
    }
  }));
});

Deno.test("RowPacker fills rows with several texts", () => {
  const packer = new RowPacker(tokenizer);
  const rows = ["one two", "three", "one"].flatMap((text) => packer.add(text));
  deepStrictEqual([...rows, ...packer.rest()], [[CLS, 5, 6, SEP, 7, SEP, 5, SEP]]);
});

Deno.test("pretrainingTexts() gives each text a row of its own, and one of the teacher's", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, "texts.txt");
    await Deno.writeTextFile(file, "one two\nthree\n");
    const teacher = Tokenizer.fromVocabulary([...SPECIAL_TOKENS, ...WORDS.toReversed()], {
      modelMaxLength: MAX_LENGTH,
    });
    const options = { tokenizer, heldOut: 0, onProgress: () => {} };
    using taught = await pretrainingTexts(join(dir, "taught"), [file], { ...options, teacher });
    const rows = (rows: TokenFile) => Array.from(rows.lengths.keys(), (row) => rows.row(row));
    deepStrictEqual(rows(taught.train), [[CLS, 5, 6, SEP], [CLS, 7, SEP]]);
    deepStrictEqual(rows(taught.teacher!), [[CLS, 7, 6, SEP], [CLS, 5, SEP]]);
    deepStrictEqual(rows(taught.heldOut), []);

    using alone = await pretrainingTexts(join(dir, "alone"), [file], options);
    deepStrictEqual(rows(alone.train), [[CLS, 5, 6, SEP, 7, SEP]]);
    deepStrictEqual(alone.teacher, undefined);
    const names = Array.from(Deno.readDirSync(join(dir, "alone", "tokens")), ({ name }) => name);
    ok(names.every((name) => !name.startsWith("teacher")), `${names}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
