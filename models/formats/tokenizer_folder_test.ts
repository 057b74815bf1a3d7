import { deepStrictEqual, rejects } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { Tokenizer } from "../text/tokenizer.ts";
import { tokenizerJson } from "./tokenizer_files.ts";

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hug", "pun", "##s", "[", "]"];
const JSON_FILE = tokenizerJson(VOCABULARY, { lowercase: true });

type Files = Record<string, unknown>;

/** Runs a test on a folder with these files; values other than strings become JSON. */
async function withFolder(files: Files, test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      await Deno.writeTextFile(join(dir, name), text);
    }
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function idsOf(files: Files, text: string, pair?: string): Promise<number[]> {
  let ids: number[] = [];
  await withFolder(files, async (dir) => {
    const tokenizer = await Tokenizer.load(dir);
    ids = (pair === undefined ? tokenizer.encode(text) : tokenizer.encodePair(text, pair)).ids;
  });
  return ids;
}

const vocab_txt = VOCABULARY.join("\n") + "\n";
const user = { content: "[USER]", special: false, normalized: true };

for (
  const [place, files] of [
    ["added_tokens.json", { "added_tokens.json": { "[USER]": 10 } }],
    [
      "added_tokens_decoder of tokenizer_config.json",
      { "tokenizer_config.json": { added_tokens_decoder: { 10: user } } },
    ],
    [
      "special_tokens_map.json",
      { "special_tokens_map.json": { additional_special_tokens: ["[USER]"] } },
    ],
    ["tokenizer_config.json", { "tokenizer_config.json": { extra_special_tokens: [user] } }],
  ] as const
) {
  Deno.test(`Tokenizer.load() takes added tokens from ${place}`, async () => {
    for (const base of [{ "vocab.txt": vocab_txt }, { "tokenizer.json": JSON_FILE }]) {
      deepStrictEqual(await idsOf({ ...base, ...files }, "hug[USER]s"), [2, 5, 10, 1, 3]);
    }
  });
}

Deno.test("Tokenizer.files() has added tokens in one file, wherever they were read", async () => {
  const files = { "vocab.txt": vocab_txt, "added_tokens.json": { "[USER]": 10 } };
  await withFolder(files, async (dir) => {
    const written = (await Tokenizer.load(dir)).files();
    const { added_tokens } = JSON.parse(written["tokenizer.json"]!);
    deepStrictEqual(added_tokens.at(-1).content, "[USER]");
    deepStrictEqual(await idsOf(written, "[USER]"), [2, 10, 3]);
  });
});

Deno.test("Tokenizer takes special tokens under any name, and writes them as they were", async () => {
  const names = {
    "[PAD]": "<pad>",
    "[UNK]": "<unk>",
    "[CLS]": "<s>",
    "[SEP]": "</s>",
    "[MASK]": "<m>",
  };
  const renamed = JSON.parse(
    JSON.stringify(JSON_FILE).replace(
      /\[(PAD|UNK|CLS|SEP|MASK)\]/g,
      (token) => names[token as keyof typeof names],
    ),
  );
  const map = {
    pad_token: "<pad>",
    unk_token: "<unk>",
    cls_token: "<s>",
    sep_token: "</s>",
    mask_token: { content: "<m>", lstrip: true },
  };
  await withFolder(
    { "tokenizer.json": renamed, "special_tokens_map.json": map },
    async (dir) => {
      const tokenizer = await Tokenizer.load(dir);
      deepStrictEqual(tokenizer.encode("hug <m> zug").ids, [2, 5, 4, 1, 3]);
      deepStrictEqual(tokenizer.maskId, 4);
      deepStrictEqual([1, 2, 5].map((id) => tokenizer.isSpecial(id)), [true, true, false]);
      deepStrictEqual(tokenizer.countUnknown([2, 5, 4, 1, 3]), 1);
      deepStrictEqual(JSON.parse(tokenizer.files()["special_tokens_map.json"]!), map);
    },
  );
});

Deno.test("Tokenizer.load() takes no length from the truncation and padding of tokenizer.json", async () => {
  const truncation = { max_length: 4, strategy: "LongestFirst", stride: 0, direction: "Right" };
  const padding = { strategy: { Fixed: 4 }, direction: "Right", pad_id: 0, pad_token: "[PAD]" };
  await withFolder({ "tokenizer.json": { ...JSON_FILE, truncation, padding } }, async (dir) => {
    const tokenizer = await Tokenizer.load(dir);
    deepStrictEqual(tokenizer.encode("hug ".repeat(9)).ids.length, 11);
    deepStrictEqual(tokenizer.encode("hug").ids.length, 3);
    const { truncation, padding } = JSON.parse(tokenizer.files()["tokenizer.json"]!);
    deepStrictEqual([truncation, padding], [null, null]);
  });
});

Deno.test("Tokenizer.load() keeps the end of texts where truncation_side says so", async () => {
  await withFolder(
    { "vocab.txt": vocab_txt, "tokenizer_config.json": { truncation_side: "left" } },
    async (dir) => {
      const tokenizer = (await Tokenizer.load(dir)).withMaxLength(4);
      deepStrictEqual(tokenizer.encode("pun hug puns").ids, [2, 6, 7, 3]);
    },
  );
});

const BPE_VOCABULARY = [
  "<s>",
  "<pad>",
  "</s>",
  "<unk>",
  "h",
  "u",
  "g",
  "Ġ",
  "hu",
  "hug",
  "Ġhug",
  "<mask>",
];
const BPE_FILES = {
  "vocab.json": Object.fromEntries(BPE_VOCABULARY.map((token, id) => [token, id])),
  "merges.txt": "#version: 0.2\nh u\nhu g\nĠ hug\n",
  "config.json": { model_type: "roberta" },
};

Deno.test("Tokenizer.load() reads RoBERTa's vocab.json and merges.txt, and pairs as its own", async () => {
  deepStrictEqual(await idsOf(BPE_FILES, "hug hug <mask>"), [0, 9, 10, 11, 2]);
  deepStrictEqual(await idsOf(BPE_FILES, "hug", "hug hug"), [0, 9, 2, 2, 9, 10, 2]);
  await withFolder(BPE_FILES, async (dir) => {
    const tokenizer = await Tokenizer.load(dir);
    deepStrictEqual(tokenizer.encodePair("hug", "hug").secondStart, undefined);
    deepStrictEqual(await idsOf(tokenizer.files(), "hug hug <mask>"), [0, 9, 10, 11, 2]);
  });
});

Deno.test("Tokenizer.load() reads MPNet's vocab.txt, whose pairs are RoBERTa's", async () => {
  const files = {
    "vocab.txt": "<s>\n<pad>\n</s>\n<unk>\nhug\n[UNK]\n<mask>\n",
    "tokenizer_config.json": { tokenizer_class: "MPNetTokenizer" },
  };
  deepStrictEqual(await idsOf(files, "hug", "zug <mask>"), [0, 4, 2, 2, 5, 6, 2]);
});

/** `tokenizer.json` with another value somewhere. */
function withValue(key: string, value: unknown): Files {
  const json = JSON.parse(JSON.stringify(JSON_FILE));
  const keys = key.split(".");
  const last = keys.pop()!;
  keys.reduce((object, key) => object[key], json)[last] = value;
  return { "tokenizer.json": json };
}

const bpe = (options: Files) => ({
  type: "BPE",
  vocab: BPE_FILES["vocab.json"],
  merges: ["h u"],
  ...options,
});
const unigram = (options: Files) => ({
  type: "Unigram",
  unk_id: 0,
  vocab: [["<unk>", 0], ["a", -1]],
  ...options,
});
const config = (content: Files) => ({ "vocab.txt": vocab_txt, "tokenizer_config.json": content });
const split = (Regex: string) =>
  withValue("pre_tokenizer", { type: "Split", pattern: { Regex }, behavior: "Isolated" });

const FAULTS: readonly [fault: string, files: Files, message: RegExp][] = [
  [
    "an empty vocabulary",
    withValue("model.vocab", {}),
    /tokenizer.json': 'model.vocab' must hold a token$/,
  ],
  ["a fractional id", withValue("model.vocab.hug", 1.5), /'hug' has 1.5$/],
  ["a negative id", withValue("model.vocab.hug", -1), /'hug' has -1$/],
  ["an id that is text", withValue("model.vocab.hug", "1"), /'hug' has "1"$/],
  ["an id twice", withValue("model.vocab.hug", 6), /'hug' and 'pun' have 6$/],
  ["no vocabulary", withValue("model", { type: "WordPiece" }), /'model.vocab' must give the id/],
  ["no model", withValue("model", null), /'model' must be a model .*WordPiece, BPE, Unigram/],
  ["another model", withValue("model", { type: "WordLevel", vocab: {} }), /: got "WordLevel"$/],
  [
    "another normalizer",
    withValue("normalizer", { type: "Nmt" }),
    /'normalizer.type' .*: got "Nmt"$/,
  ],
  [
    "another normalizer among others",
    withValue("normalizer", { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "X" }] }),
    /'normalizer.normalizers.1.type' must be a normalizer that Graft runs, NFC, .*: got "X"$/,
  ],
  [
    "another pre-tokenizer",
    withValue("pre_tokenizer", { type: "UnicodeScripts" }),
    /'pre_tokenizer.type' must be a pre-tokenizer .*: got "UnicodeScripts"$/,
  ],
  [
    "another post-processor",
    withValue("post_processor", { type: "X" }),
    /'post_processor.type' .*"X"$/,
  ],
  ["no special tokens", withValue("post_processor", null), /must put a special token beside each/],
  [
    "an expression that backtracks",
    split("(a+)+$"),
    /of single characters, .*: got "\(a\+\)\+\$"$/,
  ],
  ["one that hides it", split("a+a+a+$"), /may take for ever: got/],
  ["a long repetition", split("a{1000,}"), /may take for ever: got/],
  ["an expression that is none", split(String.raw`\p{Nonsense}`), /is not a regular expression/],
  [
    "a map that is not base64",
    withValue("normalizer", { type: "Precompiled", precompiled_charsmap: "§" }),
    /'normalizer.precompiled_charsmap' it is not base64$/,
  ],
  [
    "a map of nothing",
    withValue("normalizer", { type: "Precompiled", precompiled_charsmap: "AAAA" }),
    /it is not a map of SentencePiece$/,
  ],
  [
    "an unknown token that is none",
    withValue("model.unk_token", "?"),
    /must be in the vocabulary$/,
  ],
  [
    "words without an end",
    withValue("model.max_input_chars_per_word", 1e9),
    /max_input_chars_per_word'/,
  ],
  ["a merge of nothing", withValue("model", bpe({ merges: ["h x"] })), /"h x" needs 'x'$/],
  ["a merge of one", withValue("model", bpe({ merges: ["h"] })), /"h" needs/],
  [
    "tokens that are drawn",
    withValue("model", bpe({ dropout: 0.1 })),
    /'model.dropout' must be null/,
  ],
  ["a piece without a score", withValue("model", unigram({ vocab: [["a"]] })), /0 is \["a"\]$/],
  [
    "a piece twice",
    withValue("model", unigram({ vocab: [["a", 0], ["a", 0]] })),
    /'a' comes again$/,
  ],
  ["an unknown piece", withValue("model", unigram({ unk_id: 7 })), /'model.unk_id' must be in/],
  [
    "a token's id that another has",
    { "vocab.txt": vocab_txt, "added_tokens.json": { "[USER]": 5 } },
    /gives '\[USER\]' the id 5, which 'hug' has$/,
  ],
  [
    "a token with two ids",
    { "vocab.txt": vocab_txt, "added_tokens.json": { "hug": 10 } },
    /gives 'hug' the id 10, which is 5 elsewhere$/,
  ],
  [
    "another class",
    config({ tokenizer_class: "BertJapaneseTokenizer" }),
    /'tokenizer_class' must be one that Graft runs, .*: got 'BertJapaneseTokenizer'$/,
  ],
  [
    "another class beside tokenizer.json",
    { "tokenizer.json": JSON_FILE, "config.json": { tokenizer_class: "BertJapaneseTokenizer" } },
    /config.json': 'tokenizer_class' must be one that Graft runs/,
  ],
  [
    "other words",
    config({ word_tokenizer_type: "mecab" }),
    /'word_tokenizer_type' must be 'basic', the only one that Graft runs, got 'mecab'/,
  ],
  [
    "characters for tokens",
    config({ subword_tokenizer_type: "character" }),
    /'subword_tokenizer_type'/,
  ],
  ["settings of other words", config({ mecab_kwargs: {} }), /'mecab_kwargs' names a way/],
  ["words that are not split", config({ never_split: ["a"] }), /'never_split' must be empty/],
  ["no words", config({ do_basic_tokenize: false }), /'do_basic_tokenize' must be true$/],
  ["code", config({ auto_map: { AutoTokenizer: ["a.B", null] } }), /names code of its own/],
  [
    "SentencePiece alone",
    { "sentencepiece.bpe.model": "", "config.json": { model_type: "xlm-roberta" } },
    /sentencepiece.bpe.model': Graft reads tokenizer.json, .*from_pretrained\(".*"\).save_pretrained/,
  ],
  [
    "a pointer of Git LFS for its words",
    { "vocab.txt": "version https://git-lfs.github.com/spec/v1\n" },
    /vocab.txt': it is the pointer that Git LFS leaves/,
  ],
  ["nothing", {}, /holds no tokenizer.json and no vocab.txt$/],
  [
    "a class that vocab.txt is not enough for",
    config({ tokenizer_class: "XLMRobertaTokenizer" }),
    /holds no tokenizer.json for its XLMRobertaTokenizer$/,
  ],
  [
    "merges that are missing",
    { ...BPE_FILES, "merges.txt": "h x" },
    /vocab.json': 'model' must join tokens/,
  ],
];

for (const [fault, files, message] of FAULTS) {
  Deno.test(`Tokenizer.load() refuses ${fault} in one line`, async () => {
    await withFolder(files, async (dir) => {
      await rejects(Tokenizer.load(dir), (error: Error) => {
        deepStrictEqual(error.name, "UserError", `${error.stack}`);
        deepStrictEqual(message.test(error.message), true, error.message);
        return !error.message.includes("\n");
      });
    });
  });
}

Deno.test("Tokenizer.load() refuses ids that the model has no embeddings for, with both numbers", async () => {
  const files = { "vocab.txt": vocab_txt, "added_tokens.json": { "[USER]": 12 } };
  await withFolder(files, async (dir) => {
    await rejects(Tokenizer.load(dir, 12), {
      name: "UserError",
      message: `Cannot read '${dir}': its tokenizer has 13 tokens, its embeddings 12`,
    });
    deepStrictEqual((await Tokenizer.load(dir, 13)).vocabularySize, 13);
  });
});

Deno.test("Tokenizer.load() reads any value in any place, or refuses it in one line", async () => {
  const keys: string[] = [];
  const collect = (value: unknown, path: string) => {
    if (path !== "") keys.push(path);
    if (value instanceof Object) {
      for (const [key, inner] of Object.entries(value)) {
        if (!key.includes(".")) collect(inner, path === "" ? key : `${path}.${key}`);
      }
    }
  };
  collect(JSON_FILE, "");
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...keys), fc.jsonValue(), async (key, value) => {
      await withFolder(withValue(key, value), async (dir) => {
        try {
          (await Tokenizer.load(dir)).encode("hug pun [MASK] zug");
        } catch (error) {
          deepStrictEqual((error as Error).name, "UserError", `${(error as Error).stack}`);
        }
      });
    }),
    { numRuns: 300 },
  );
});

Deno.test("Tokenizer.load() refuses to look for starts where Python's finds others", async () => {
  const metaspace = { type: "Metaspace", prepend_scheme: "first" };
  const digits = { type: "Digits" };
  const sequence = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
  const strip = { type: "Strip", strip_left: true, strip_right: false };
  const nothing = { type: "Replace", pattern: { String: "a" }, content: "" };
  const nfkc = { type: "NFKC" };
  const both = { type: "Sequence", normalizers: [nfkc, strip] };
  const load = (normalizer: unknown, pre_tokenizer: unknown) =>
    idsOf({ "tokenizer.json": { ...JSON_FILE, normalizer, pre_tokenizer } }, "hug");
  for (
    const [normalizer, preTokenizer] of [
      [strip, metaspace],
      [nothing, metaspace],
      [{ type: "Replace", pattern: { String: "ab" }, content: "c" }, metaspace],
      [{ type: "Replace", pattern: { Regex: " {2,}" }, content: " " }, metaspace],
      [{ type: "StripAccents" }, metaspace],
      [{ type: "BertNormalizer" }, metaspace],
      [both, sequence(metaspace)],
      [nfkc, sequence(digits, metaspace)],
      [nfkc, sequence(digits, sequence(metaspace))],
    ]
  ) {
    await rejects(load(normalizer, preTokenizer), {
      name: "UserError",
      message: /^Cannot read '.+': 'pre_tokenizer' must not have a Metaspace .+'first'/,
    });
  }
  await load(null, sequence(digits, metaspace));
  await load(nfkc, sequence(metaspace, digits));
  await load({ type: "Replace", pattern: { String: "a" }, content: "bc" }, metaspace);
  await load(strip, { ...metaspace, prepend_scheme: "always" });
});
