/**
 * `tokenizer.json`, the file of Python's `tokenizers`: the part of it that Graft runs, and the
 * rules that it must keep. Keys have that library's names and defaults.
 *
 * @module
 */
import { z } from "zod";
import { isBounded, regExpOf } from "../text/patterns.ts";
import { precompiledMap } from "../text/precompiled_map.ts";
import { templateOf } from "../text/template.ts";

/** The longest word: WordPiece's time grows with the square of a word's length. */
const MAX_WORD_CHARACTERS = 1000;
/** The longest token; Unigram and BPE compare texts with it. SentencePiece's have at most 16. */
const MAX_TOKEN_CHARACTERS = 1000;

const id = z.int().nonnegative();

/** A rule that names the supported kinds, for a file that has another. */
function known(what: string, names: readonly string[]) {
  return ({ input }: { input?: unknown }) => {
    const type = input instanceof Object && "type" in input ? input.type : input;
    return `must be a ${what} that Graft runs, ${names.join(", ")}: got ${JSON.stringify(type)}`;
  };
}

/** A rule that a function accepts a value; the function's error is the rule's message. */
function taken<Value>(take: (value: Value) => unknown): z.core.CheckFn<Value> {
  return (context) => {
    try {
      take(context.value);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      context.issues.push({ code: "custom", message: error.message, input: context.value });
    }
  };
}

const Pattern = z.object({ String: z.string().min(1).optional(), Regex: z.string().optional() })
  .check(taken((pattern) => {
    const found = JSON.stringify(pattern.Regex);
    if ((pattern.String === undefined) === (pattern.Regex === undefined)) {
      throw new Error("must have either a String or a Regex");
    }
    if (!isBounded(pattern)) {
      throw new Error(
        "must be an expression of a well-known tokenizer or of single characters, as others may " +
          `take for ever: got ${found}`,
      );
    }
    try {
      regExpOf(pattern);
    } catch {
      throw new Error(`is not a regular expression: ${found}`);
    }
  }));

/**
 * A pattern to look for in a text: a literal string, or a regular expression of Oniguruma.
 */
export type Pattern = z.infer<typeof Pattern>;

const NORMALIZERS = [
  z.object({ type: z.enum(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]) }),
  z.object({
    type: z.literal("BertNormalizer"),
    clean_text: z.boolean().default(true),
    handle_chinese_chars: z.boolean().default(true),
    strip_accents: z.boolean().nullable().default(null),
    lowercase: z.boolean().default(true),
  }),
  z.object({
    type: z.literal("Strip"),
    strip_left: z.boolean(),
    strip_right: z.boolean(),
  }),
  z.object({ type: z.literal("Prepend"), prepend: z.string() }),
  z.object({ type: z.literal("Replace"), pattern: Pattern, content: z.string() }),
  z.object({
    type: z.literal("Precompiled"),
    precompiled_charsmap: z.string().check(taken(precompiledMap)),
  }),
] as const;

/** One step of cleaning, or several. */
export type NormalizerJson =
  | z.infer<(typeof NORMALIZERS)[number]>
  | { type: "Sequence"; normalizers: NormalizerJson[] };

const NormalizerJson: z.ZodType<NormalizerJson> = z.discriminatedUnion("type", [
  ...NORMALIZERS,
  z.object({
    type: z.literal("Sequence"),
    get normalizers() {
      return z.array(NormalizerJson);
    },
  }),
], {
  error: known("normalizer", [
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Lowercase",
    "StripAccents",
    "BertNormalizer",
    "Strip",
    "Prepend",
    "Replace",
    "Precompiled",
    "Sequence",
  ]),
});

const SplitBehavior = z.enum([
  "Removed",
  "Isolated",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
]);

/** The treatment of the places where a text is split. */
export type SplitBehavior = z.infer<typeof SplitBehavior>;

const PRE_TOKENIZERS = [
  z.object({ type: z.enum(["BertPreTokenizer", "Whitespace", "WhitespaceSplit"]) }),
  z.object({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.boolean().default(true),
    use_regex: z.boolean().default(true),
  }),
  z.object({
    type: z.literal("Metaspace"),
    replacement: z.string().min(1).default("▁"),
    prepend_scheme: z.enum(["always", "first", "never"]).optional(),
    add_prefix_space: z.boolean().optional(),
    split: z.boolean().default(true),
  }).transform(({ prepend_scheme, add_prefix_space, ...rest }) => ({
    ...rest,
    // Older files have the second key alone.
    prepend_scheme: prepend_scheme ?? (add_prefix_space === false ? "never" : "always"),
  })),
  z.object({
    type: z.literal("Split"),
    pattern: Pattern,
    behavior: SplitBehavior,
    invert: z.boolean().default(false),
  }),
  z.object({
    type: z.literal("Punctuation"),
    behavior: SplitBehavior.default("Isolated"),
  }),
  z.object({ type: z.literal("Digits"), individual_digits: z.boolean().default(false) }),
] as const;

/** One step of splitting, or several. */
export type PreTokenizerJson =
  | z.infer<(typeof PRE_TOKENIZERS)[number]>
  | { type: "Sequence"; pretokenizers: PreTokenizerJson[] };

const PreTokenizerJson: z.ZodType<PreTokenizerJson> = z.discriminatedUnion("type", [
  ...PRE_TOKENIZERS,
  z.object({
    type: z.literal("Sequence"),
    get pretokenizers() {
      return z.array(PreTokenizerJson);
    },
  }),
], {
  error: known("pre-tokenizer", [
    "BertPreTokenizer",
    "Whitespace",
    "WhitespaceSplit",
    "ByteLevel",
    "Metaspace",
    "Split",
    "Punctuation",
    "Digits",
    "Sequence",
  ]),
});

const SpecialToken = z.tuple([z.string(), id]);

const TemplateItem = z.object({
  SpecialToken: z.object({ id: z.string(), type_id: id }).optional(),
  Sequence: z.object({ id: z.string(), type_id: id }).optional(),
}).refine(
  (item) => (item.SpecialToken === undefined) !== (item.Sequence === undefined),
  "must be a SpecialToken or a Sequence",
);

/** A special token, or the place of a text, in a template. */
export type TemplateItemJson = z.infer<typeof TemplateItem>;

const POST_PROCESSORS = [
  z.object({
    type: z.enum(["BertProcessing", "RobertaProcessing"]),
    sep: SpecialToken,
    cls: SpecialToken,
  }),
  z.object({
    type: z.literal("TemplateProcessing"),
    single: z.array(TemplateItem),
    pair: z.array(TemplateItem),
    special_tokens: z.record(z.string(), z.object({ ids: z.array(id) })),
  }),
  // ByteLevel only adjusts offsets.
  z.object({ type: z.literal("ByteLevel") }),
] as const;

/** The special tokens that are put around a text. */
export type PostProcessorJson =
  | z.infer<(typeof POST_PROCESSORS)[number]>
  | { type: "Sequence"; processors: PostProcessorJson[] };

const PostProcessorJson: z.ZodType<PostProcessorJson> = z.discriminatedUnion("type", [
  ...POST_PROCESSORS,
  z.object({
    type: z.literal("Sequence"),
    get processors() {
      return z.array(PostProcessorJson);
    },
  }),
], {
  error: known("post-processor", [
    "BertProcessing",
    "RobertaProcessing",
    "TemplateProcessing",
    "ByteLevel",
    "Sequence",
  ]),
});

/** A token that is taken out of a text whole. */
export const AddedToken = z.object({
  id,
  content: z.string(),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(true),
  special: z.boolean().default(false),
});

/** See {@linkcode AddedToken}. */
export type AddedTokenJson = z.infer<typeof AddedToken>;

/** The id of each token. A large one is checked by hand, in a tenth of the time. */
export const Vocabulary = z.custom<Record<string, number>>().check(taken(checkVocabulary));

const Merges = z.array(z.union([z.string(), z.tuple([z.string(), z.string()])]));

const WordPieceJson = z.object({
  type: z.literal("WordPiece"),
  unk_token: z.string().default("[UNK]"),
  continuing_subword_prefix: z.string().default("##"),
  max_input_chars_per_word: z.int().min(1).max(MAX_WORD_CHARACTERS).default(100),
  vocab: Vocabulary,
}).refine(
  ({ vocab, unk_token }) => Object.hasOwn(vocab, unk_token),
  { path: ["unk_token"], message: "must be in the vocabulary" },
);

const BpeJson = z.object({
  type: z.literal("BPE"),
  dropout: z.literal([0, null], "must be null: tokens that are drawn are not for inference")
    .optional(),
  unk_token: z.string().nullable().optional(),
  continuing_subword_prefix: z.literal(["", null], "must be empty").optional(),
  end_of_word_suffix: z.literal(["", null], "must be empty").optional(),
  fuse_unk: z.boolean().default(false),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
  vocab: Vocabulary,
  merges: Merges,
}).check(taken(checkMerges));

const UnigramJson = z.object({
  type: z.literal("Unigram"),
  unk_id: id,
  byte_fallback: z.boolean().default(false),
  vocab: z.custom<[token: string, score: number][]>().check(taken(checkPieces)),
}).refine(
  ({ vocab, unk_id }) => unk_id < vocab.length,
  { path: ["unk_id"], message: "must be in the vocabulary" },
);

/** A Unigram model; a token's id is its place in the vocabulary. */
export type UnigramJson = z.infer<typeof UnigramJson>;

const MODELS = [WordPieceJson, BpeJson, UnigramJson] as const;

/** A vocabulary and how words are split into its tokens. */
export type ModelJson = z.infer<(typeof MODELS)[number]>;

const Model = z.preprocess(
  withType,
  z.discriminatedUnion("type", MODELS, { error: known("model", ["WordPiece", "BPE", "Unigram"]) }),
);

/** A tokenizer as Graft runs it. */
export const TokenizerJson = z.object({
  added_tokens: z.array(AddedToken).default([]),
  normalizer: NormalizerJson.nullable().default(null),
  pre_tokenizer: PreTokenizerJson.nullable().default(null),
  post_processor: PostProcessorJson.nullable().default(null).check(taken(templateOf)),
  model: Model,
}).refine(
  ({ normalizer, pre_tokenizer }) => marksStarts(normalizer, pre_tokenizer),
  {
    path: ["pre_tokenizer"],
    message: "must not have a Metaspace with the prepend_scheme 'first' where a normalizer may " +
      "remove or move what a text begins with, or, behind another step, where there is one: Python's " +
      "tokenizers look for the start of the text as it was",
  },
);

/** The normalizers that leave one character in place of a text's first. */
const KEEPING_STARTS = new Set(["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]);

/** Whether a Metaspace that marks only the start of a text marks that of the cleaned text. */
function marksStarts(
  normalizer: NormalizerJson | null,
  preTokenizer: PreTokenizerJson | null,
): boolean {
  const place = stepsOf(preTokenizer)
    .findIndex((step) => step.type === "Metaspace" && step.prepend_scheme === "first");
  if (place < 0 || normalizer === null) return true;
  return place === 0 && cleaningSteps(normalizer).every(keepsStart);
}

function keepsStart(step: NormalizerJson): boolean {
  if (step.type !== "Replace") return KEEPING_STARTS.has(step.type);
  // A replacement for several characters has the place of the last of them.
  return step.content !== "" && [...step.pattern.String ?? ""].length === 1;
}

function stepsOf(json: PreTokenizerJson | null): PreTokenizerJson[] {
  if (json === null) return [];
  return json.type === "Sequence" ? json.pretokenizers.flatMap(stepsOf) : [json];
}

function cleaningSteps(json: NormalizerJson): NormalizerJson[] {
  return json.type === "Sequence" ? json.normalizers.flatMap(cleaningSteps) : [json];
}

/** See the schema of the same name. */
export type TokenizerJson = z.infer<typeof TokenizerJson>;

/** Adds the type that the models of older files lack. */
function withType(model: unknown): unknown {
  if (!(model instanceof Object) || "type" in model || !("vocab" in model)) return model;
  const type = Array.isArray(model.vocab) ? "Unigram" : "merges" in model ? "BPE" : "WordPiece";
  return { ...model, type };
}

function checkVocabulary(vocabulary: unknown): void {
  if (!(vocabulary instanceof Object) || Array.isArray(vocabulary)) {
    throw new Error("must give the id of each token");
  }
  const byId = new Map<number, string>();
  for (const [token, id] of Object.entries(vocabulary)) {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new Error(`must give each token a whole number: '${token}' has ${JSON.stringify(id)}`);
    }
    const other = byId.get(id);
    if (other !== undefined) {
      throw new Error(
        `must give each token an id of its own: '${other}' and '${token}' have ${id}`,
      );
    }
    byId.set(id, token);
    checkLength(token);
  }
  if (byId.size === 0) throw new Error("must hold a token");
}

function checkPieces(pieces: unknown): void {
  if (!Array.isArray(pieces)) throw new Error("must list tokens with their scores");
  const tokens = new Set<string>();
  for (const [place, piece] of pieces.entries()) {
    const [token, score]: unknown[] = Array.isArray(piece) ? piece : [];
    if (typeof token !== "string" || typeof score !== "number" || !Number.isFinite(score)) {
      throw new Error(`must list tokens with their scores: ${place} is ${JSON.stringify(piece)}`);
    }
    if (tokens.has(token)) throw new Error(`must list each token once: '${token}' comes again`);
    tokens.add(token);
    checkLength(token);
  }
  if (tokens.size === 0) throw new Error("must hold a token");
}

function checkLength(token: string): void {
  if (token.length <= MAX_TOKEN_CHARACTERS) return;
  const start = `'${token.slice(0, 20)}…' has ${token.length}`;
  throw new Error(`must have tokens of at most ${MAX_TOKEN_CHARACTERS} characters: ${start}`);
}

/** The two tokens of a merge. */
export function mergeOf(merge: string | [string, string]): [string, string] {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ");
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function checkMerges(
  { vocab, merges }: { vocab: Record<string, number>; merges: z.infer<typeof Merges> },
): void {
  for (const merge of merges) {
    const tokens = mergeOf(merge);
    const missing = [...tokens, tokens.join("")].find((token) => !Object.hasOwn(vocab, token));
    if (missing === undefined) continue;
    const found = JSON.stringify(merge);
    throw new Error(`must join tokens of the vocabulary to another: ${found} needs '${missing}'`);
  }
}
