import { deepStrictEqual, match, ok, rejects } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { Tokenizer } from "./tokenizer.ts";

const CLS = 2;
const SEP = 3;
/** A vocabulary with digits, which a JavaScript object moves to its front. */
const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hug", "7", "pun", "##s", "1"];

const tokenizer = withLength(128);

function withLength(modelMaxLength: number): Tokenizer {
  return Tokenizer.fromVocabulary(VOCABULARY, { modelMaxLength });
}

/** Texts of known and unknown words. */
const texts = fc.array(
  fc.constantFrom("hug", "Hugs", "pun", "7", "1s", "zug", ",", "[MASK]"),
  { maxLength: 12 },
).map((words) => words.join(" "));

/** Writes a tokenizer's files into a folder and loads them. */
async function reload(tokenizer: Tokenizer): Promise<Tokenizer> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(tokenizer.files())) {
      await Deno.writeTextFile(join(dir, name), content);
    }
    return await Tokenizer.load(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("Tokenizer.encode() frames the ids of the tokens", () => {
  deepStrictEqual(tokenizer.encode("Hugs 7 zug"), {
    ids: [CLS, 5, 8, 6, 1, SEP],
    truncated: false,
  });
  deepStrictEqual(tokenizer.encode(""), { ids: [CLS, SEP], truncated: false });
});

Deno.test("Tokenizer.countUnknown() counts what the vocabulary does not have", () => {
  deepStrictEqual(tokenizer.countUnknown(tokenizer.encode("Hugs zug 7 日本").ids), 3);
  deepStrictEqual(tokenizer.countUnknown(tokenizer.encode("hug").ids), 0);
});

Deno.test("Tokenizer.encode() keeps [CLS] and [SEP] when it cuts a text", () => {
  deepStrictEqual(withLength(5).encode("hug pun 7"), {
    ids: [CLS, 5, 7, 6, SEP],
    truncated: false,
  });
  deepStrictEqual(withLength(4).encode("hug pun 7"), { ids: [CLS, 5, 7, SEP], truncated: true });
  deepStrictEqual(withLength(2).encode("hug pun 7"), { ids: [CLS, SEP], truncated: true });
});

Deno.test("Tokenizer.encode() keeps the start of a text that is too long", () => {
  fc.assert(fc.property(texts, fc.integer({ min: 2, max: 16 }), (text, maxLength) => {
    const inner = tokenizer.encode(text).ids.slice(1, -1);
    const { ids, truncated } = withLength(maxLength).encode(text);
    deepStrictEqual(ids, [CLS, ...inner.slice(0, maxLength - 2), SEP]);
    deepStrictEqual(truncated, inner.length > maxLength - 2);
  }));
});

Deno.test("Tokenizer cuts a long text as if it had read all of it", () => {
  const word = fc.constantFrom(
    "hug",
    "pun",
    "7",
    "zug",
    ",",
    "[MASK]",
    "x".repeat(300),
    "\t\n",
    "",
  );
  const long = fc.array(word, { maxLength: 400 }).map((words) => words.join(" "));
  const whole = (text: string) => withLength(1e6).encode(text).ids;
  fc.assert(fc.property(long, fc.integer({ min: 4, max: 40 }), (text, maxLength) => {
    const ids = whole(text);
    const cut = ids.length > maxLength;
    deepStrictEqual(withLength(maxLength).encode(text), {
      ids: cut ? [...ids.slice(0, maxLength - 1), SEP] : ids,
      truncated: cut,
    });
  }));
});

Deno.test("Tokenizer.encodePair() joins two texts and says where the second begins", () => {
  deepStrictEqual(tokenizer.encodePair("hug", "pun 7"), {
    ids: [CLS, 5, SEP, 7, 6, SEP],
    secondStart: 3,
    truncated: false,
  });
});

Deno.test("Tokenizer.encodePair() cuts the longer text first", () => {
  deepStrictEqual(withLength(6).encodePair("hug", "pun 7 hug hug"), {
    ids: [CLS, 5, SEP, 7, 6, SEP],
    secondStart: 3,
    truncated: true,
  });
  fc.assert(
    fc.property(texts, texts, fc.integer({ min: 3, max: 16 }), (first, second, maxLength) => {
      const { ids, secondStart, truncated } = withLength(maxLength).encodePair(first, second);
      const whole = tokenizer.encodePair(first, second);
      deepStrictEqual(ids.length, Math.min(whole.ids.length, maxLength));
      deepStrictEqual(truncated, whole.ids.length > maxLength);
      deepStrictEqual([ids[0], ids[secondStart! - 1], ids.at(-1)], [CLS, SEP, SEP]);
      const left = [secondStart! - 2, ids.length - secondStart! - 1];
      const had = [whole.secondStart! - 2, whole.ids.length - whole.secondStart! - 1];
      for (const i of [0, 1]) {
        if (left[i]! < had[i]!) ok(left[i]! >= left[1 - i]! - 1, "the shorter text was cut");
      }
    }),
  );
});

Deno.test("Tokenizer.files() lists the tokens of vocab.txt in the order of their ids", () => {
  deepStrictEqual(tokenizer.files()["vocab.txt"], VOCABULARY.join("\n") + "\n");
});

Deno.test("Tokenizer.load() reads what files() wrote", async () => {
  const loaded = await reload(tokenizer);
  deepStrictEqual(loaded.files(), tokenizer.files());
  fc.assert(fc.property(texts, (text) => {
    deepStrictEqual(loaded.encode(text), tokenizer.encode(text));
  }));
});

Deno.test("Tokenizer.files() holds what transformers looks for", () => {
  const files = tokenizer.files();
  deepStrictEqual(Object.keys(files).sort(), [
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]);
  deepStrictEqual(JSON.parse(files["tokenizer_config.json"]!).model_max_length, 128);
  deepStrictEqual(JSON.parse(files["special_tokens_map.json"]!).cls_token, "[CLS]");
  ok(files["tokenizer.json"]!.endsWith("}\n"));
});

Deno.test("Tokenizer.load() reads an older folder with vocab.txt alone", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "vocab.txt"), [...VOCABULARY, "Hug"].join("\n") + "\n");
    const text = "Hug pun 7";
    deepStrictEqual((await Tokenizer.load(dir)).encode(text).ids, [CLS, 5, 7, 6, SEP]);

    const config = { do_lower_case: false, model_max_length: 4 };
    await Deno.writeTextFile(join(dir, "tokenizer_config.json"), JSON.stringify(config));
    const cased = await Tokenizer.load(dir);
    deepStrictEqual(cased.encode(text), { ids: [CLS, 10, 7, SEP], truncated: true });

    const german = { do_lower_case: true, strip_accents: false, tokenize_chinese_chars: false };
    await Deno.writeTextFile(join(dir, "tokenizer_config.json"), JSON.stringify(german));
    await Deno.writeTextFile(join(dir, "vocab.txt"), [...VOCABULARY, "ä", "a"].join("\n"));
    const accented = await Tokenizer.load(dir);
    deepStrictEqual(accented.encode("Ä").ids, [CLS, VOCABULARY.length, SEP]);
    match(accented.files()["tokenizer_config.json"]!, /"tokenize_chinese_chars": false/);

    const other = { tokenizer_class: "BertJapaneseTokenizer" };
    await Deno.writeTextFile(join(dir, "tokenizer_config.json"), JSON.stringify(other));
    await rejects(Tokenizer.load(dir), /tokenizer_config.json': 'tokenizer_class' /);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Tokenizer.load() refuses a vocabulary without the special tokens", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(dir, "vocab.txt"), "a\nb\n");
    await rejects(Tokenizer.load(dir), {
      name: "UserError",
      message: "Cannot describe the tokenizer: the vocabulary must hold '[PAD]'",
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Tokenizer.load() needs neither tokenizer_config.json nor a length in it", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const tokenizer = Tokenizer.fromVocabulary(VOCABULARY, { modelMaxLength: 128 });
    const { "tokenizer.json": json } = tokenizer.files();
    await Deno.writeTextFile(join(dir, "tokenizer.json"), json!);
    for (const config of [undefined, "{}"]) {
      if (config !== undefined) {
        await Deno.writeTextFile(join(dir, "tokenizer_config.json"), config);
      }
      const loaded = await Tokenizer.load(dir);
      const words = Array.from({ length: 600 }, () => VOCABULARY.at(-1)).join(" ");
      deepStrictEqual(loaded.encode(words).truncated, false);
      deepStrictEqual(loaded.withMaxLength(5).encode(words).ids.length, 5);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Tokenizer.load() refuses a length that leaves no room for a word", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const configFile = join(dir, "tokenizer_config.json");
    await Deno.writeTextFile(configFile, '{"model_max_length": 2}');
    await Deno.writeTextFile(join(dir, "vocab.txt"), VOCABULARY.join("\n") + "\n");
    const refusal = {
      name: "UserError",
      message: new RegExp(`^Cannot read '${configFile}': .*model_max_length.*3$`),
    };
    await rejects(Tokenizer.load(dir), refusal);
    await Deno.writeTextFile(join(dir, "tokenizer.json"), tokenizer.files()["tokenizer.json"]!);
    await rejects(Tokenizer.load(dir), refusal);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Tokenizer keeps of a long text what it is told to, and its files say so", async () => {
  const short = withLength(6);
  const text = "hug pun 7 1 hug pun";
  const ids = (tokenizer: Tokenizer) => tokenizer.encodeRows(text).map(({ ids }) => ids);
  const ways = [
    [short, [[CLS, 5, 7, 6, 9, SEP]], 2],
    [
      short.withLongTexts({ strategy: "head-tail", stride: 0, join: "mean" }),
      [[CLS, 5, 9, 5, 7, SEP]],
      2,
    ],
    [
      short.withLongTexts({ strategy: "chunk", stride: 1, join: "max" }),
      [[CLS, 5, 7, 6, 9, SEP], [CLS, 6, 9, 5, 7, SEP]],
      0,
    ],
  ] as const;
  for (const [tokenizer, expected, lost] of ways) {
    deepStrictEqual(ids(tokenizer), expected);
    deepStrictEqual(tokenizer.lossOf([text, "hug"]), { texts: 2, long: 1, tokens: 7, lost });
    const loaded = await reload(tokenizer);
    deepStrictEqual(loaded.longTexts, tokenizer.longTexts);
    deepStrictEqual(ids(loaded), expected);
    // A model that is trained on another's folder has its own treatment of long texts.
    const again = await reload(loaded.withLongTexts(short.longTexts));
    deepStrictEqual(again.longTexts, short.longTexts);
  }
});
