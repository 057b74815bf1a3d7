/**
 * Reads a tokenizer from a model's folder, whichever files describe it there: `tokenizer.json`, or
 * its predecessors, and the three places beside it where tokens are added.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import {
  checkJson,
  checkRegular,
  exists,
  LFS_FAULT,
  LFS_START,
  readJson,
} from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { vocabularyOf } from "../text/subword_model.ts";
import { AddedToken, type AddedTokenJson, TokenizerJson, Vocabulary } from "./tokenizer_json.ts";
import { LongTexts } from "../text/long_texts.ts";
import {
  byteLevelTokenizerJson,
  MIN_LENGTH,
  MPNET_TOKENS,
  ROBERTA_TOKENS,
  SPECIAL_TOKEN_NAMES,
  SPECIAL_TOKENS_MAP,
  type SpecialTokens,
  tokenizerConfig,
  tokenizerJson,
} from "./tokenizer_files.ts";

/** The files that describe a tokenizer. */
export const TOKENIZER_FILES = {
  tokenizer: "tokenizer.json",
  config: "tokenizer_config.json",
  specialTokens: "special_tokens_map.json",
  addedTokens: "added_tokens.json",
  vocabulary: "vocab.txt",
  bpeVocabulary: "vocab.json",
  merges: "merges.txt",
} as const;

/** Models of SentencePiece, by the names that transformers gives them. */
const SENTENCEPIECE_FILES = [
  "spiece.model",
  "sentencepiece.bpe.model",
  "spm.model",
  "sentencepiece.model",
  "tokenizer.model",
];

/** transformers' tokenizer classes whose `tokenizer.json` describes them completely. */
const CLASSES = [
  "BertTokenizer",
  "DistilBertTokenizer",
  "ElectraTokenizer",
  "MPNetTokenizer",
  "RobertaTokenizer",
  "CamembertTokenizer",
  "XLMRobertaTokenizer",
  "DebertaV2Tokenizer",
  "PreTrainedTokenizer",
  "TokenizersBackend",
] as const;

/** The classes that are built from `vocab.txt`. */
const WORDPIECE_CLASSES: readonly string[] = CLASSES.slice(0, 4);

/** transformers' class of a model's tokenizer, where the tokenizer's files do not name it. */
const CLASS_OF_MODEL: Record<string, (typeof CLASSES)[number]> = {
  mpnet: "MPNetTokenizer",
  roberta: "RobertaTokenizer",
};

const tokenizerClass = z.string().nullish()
  .transform((name) => name?.replace(/Fast$/, "") ?? undefined)
  .pipe(
    z.enum(CLASSES, {
      error: ({ input }) => `must be one that Graft runs, ${CLASSES.join(", ")}: got '${input}'`,
    }).optional(),
  );

const absent = (why: string) => z.null(why).optional();

const MODEL_CONFIG_FILE = "config.json";

const Token = z.union([z.string(), z.looseObject({ content: z.string() })]);

/** Tokens by their purpose, as `special_tokens_map.json` and `tokenizer_config.json` have them. */
const NamedTokens = z.looseObject({
  pad_token: Token.nullish(),
  unk_token: Token.nullish(),
  cls_token: Token.nullish(),
  sep_token: Token.nullish(),
  mask_token: Token.nullish(),
  bos_token: Token.nullish(),
  eos_token: Token.nullish(),
  additional_special_tokens: z.array(Token).nullish(),
  extra_special_tokens: z.union([z.array(Token), z.record(z.string(), Token)]).nullish(),
});
type NamedTokens = z.infer<typeof NamedTokens>;

/** The only value of a setting that Graft runs, which may be left out. */
const onlyOf = (value: string) =>
  z.literal(value, {
    error: ({ input }) => `must be '${value}', the only one that Graft runs, got '${input}'`,
  }).nullish();

const otherWords = absent("names a way to find words that Graft does not run");

const Config = NamedTokens.extend({
  tokenizer_class: tokenizerClass,
  model_max_length: z.number().min(MIN_LENGTH, `must be at least ${MIN_LENGTH}`).optional(),
  truncation_side: z.enum(["left", "right"]).optional(),
  long_texts: LongTexts.optional(),
  do_lower_case: z.boolean().nullish(),
  strip_accents: z.boolean().nullish(),
  tokenize_chinese_chars: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  added_tokens_decoder: z.record(
    z.string().regex(/^\d+$/, "must be an id"),
    z.looseObject({ content: z.string() }),
  ).optional(),
  word_tokenizer_type: onlyOf("basic"),
  subword_tokenizer_type: onlyOf("wordpiece"),
  do_basic_tokenize: z.literal(true, "must be true").nullish(),
  do_word_tokenize: z.literal(true, "must be true").nullish(),
  do_subword_tokenize: z.literal(true, "must be true").nullish(),
  never_split: z.array(z.string()).max(0, "must be empty: Graft splits every word").nullish(),
  mecab_kwargs: otherWords,
  jumanpp_kwargs: otherWords,
  sudachi_kwargs: otherWords,
  auto_map: z.looseObject({
    AutoTokenizer: absent("names code of its own, which Graft does not run"),
  }).nullish(),
});
type Config = z.infer<typeof Config>;

/** The part of the model's configuration that concerns its tokenizer. */
const ModelConfig = z.looseObject({
  model_type: z.string().optional(),
  tokenizer_class: tokenizerClass,
});

/** A tokenizer's files. */
export interface TokenizerFolder {
  /** The steps from texts to tokens. */
  definition: TokenizerJson;
  /** The content of `tokenizer.json`, with all keys. */
  json: Record<string, unknown>;
  /** The content of `tokenizer_config.json`. */
  config: Record<string, unknown>;
  /** The content of `special_tokens_map.json`. */
  specialTokensMap: Record<string, unknown>;
  /** The tokens by their purpose. */
  specialTokens: SpecialTokens;
  /** The most tokens that a text is encoded to, if the files say so. */
  maxLength: number | undefined;
  /** The end of a text that is kept if the text is too long. */
  keeps: "start" | "end";
  /** The treatment of texts that are too long, if the files say more of it. */
  longTexts?: LongTexts | undefined;
}

/**
 * Reads the tokenizer of a model's folder.
 *
 * @throws {UserError} If the folder holds none, or one that Graft cannot run as Python does.
 */
export async function readTokenizerFolder(dir: string): Promise<TokenizerFolder> {
  const [configFile, modelFile, mapFile] = [
    join(dir, TOKENIZER_FILES.config),
    join(dir, MODEL_CONFIG_FILE),
    join(dir, TOKENIZER_FILES.specialTokens),
  ];
  const written = await readObject(configFile);
  const config = checkJson(configFile, written, Config);
  const model = checkJson(modelFile, await readObject(modelFile), ModelConfig);
  const map = await readObject(mapFile);
  const named: NamedTokens = { ...config, ...checkJson(mapFile, map, NamedTokens) };

  const file = join(dir, TOKENIZER_FILES.tokenizer);
  const older = await exists(file) ? undefined : await readOlder(
    dir,
    config.tokenizer_class ?? model.tokenizer_class ?? CLASS_OF_MODEL[model.model_type ?? ""],
    { ...config, ...named },
  );
  const json = older?.json ?? await readJson(file, JsonObject);
  const definition = checkJson(older?.file ?? file, json, TokenizerJson);
  const specialTokens = {
    ...older?.specialTokens ?? usualTokens(definition),
    ...contentsOf(named),
  };
  const addedTokens = await allAddedTokens(dir, definition, config, named);
  return {
    definition: { ...definition, added_tokens: addedTokens },
    // A length that was saved with the tokenizer is not that of another model.
    json: { ...json, truncation: null, padding: null, added_tokens: addedTokens },
    config: {
      ...older?.config ?? written,
      ...config.added_tokens_decoder !== undefined && {
        added_tokens_decoder: Object.fromEntries(
          addedTokens.map(({ id, ...token }) => [id, token]),
        ),
      },
    },
    specialTokensMap: Object.keys(map).length > 0 ? map : specialTokens,
    specialTokens,
    maxLength: config.model_max_length ?? (older && 512),
    keeps: config.truncation_side === "left" ? "end" : "start",
    longTexts: config.long_texts,
  };
}

const JsonObject = z.record(z.string(), z.unknown());

/** The object of a JSON file; an empty one if there is none. */
async function readObject(file: string): Promise<Record<string, unknown>> {
  return await exists(file) ? await readJson(file, JsonObject) : {};
}

/** The content of the tokens that have a purpose, without their options. */
function contentsOf(named: NamedTokens): SpecialTokens {
  return Object.fromEntries(SPECIAL_TOKEN_NAMES.flatMap((name) => {
    const token = named[name];
    return token == null ? [] : [[name, typeof token === "string" ? token : token.content]];
  }));
}

/** The added tokens with the names of BERT's or RoBERTa's, if the files name none. */
function usualTokens({ added_tokens }: TokenizerJson): SpecialTokens {
  const contents = new Set(added_tokens.map(({ content }) => content));
  return Object.fromEntries(
    [ROBERTA_TOKENS, SPECIAL_TOKENS_MAP].flatMap((tokens) =>
      Object.entries(tokens).filter(([, token]) => contents.has(token))
    ),
  );
}

/** The content of a folder without `tokenizer.json`, in the terms of one with it. */
interface OlderTokenizer {
  /** The file with the vocabulary. */
  file: string;
  json: Record<string, unknown>;
  config: Record<string, unknown>;
  specialTokens: SpecialTokens;
}

async function readOlder(
  dir: string,
  tokenizerClass: string | undefined,
  config: Config,
): Promise<OlderTokenizer> {
  const file = join(dir, TOKENIZER_FILES.vocabulary);
  const bpeFile = join(dir, TOKENIZER_FILES.bpeVocabulary);
  const mergesFile = join(dir, TOKENIZER_FILES.merges);
  if (WORDPIECE_CLASSES.includes(tokenizerClass ?? "BertTokenizer") && await exists(file)) {
    const isMpnet = tokenizerClass === "MPNetTokenizer";
    const specialTokens = { ...isMpnet ? MPNET_TOKENS : SPECIAL_TOKENS_MAP, ...contentsOf(config) };
    const vocabulary = (await readText(file)).trimEnd().split("\n")
      .map((line) => line.trimEnd());
    const lowercase = config.do_lower_case ?? true;
    const options = {
      lowercase,
      stripAccents: config.strip_accents ?? lowercase,
      tokenizeChineseCharacters: config.tokenize_chinese_chars ?? true,
      specialTokens,
    };
    return {
      file,
      json: { ...tokenizerJson(vocabulary, { ...options, isRoberta: isMpnet }) },
      config: {
        ...tokenizerConfig({ ...options, modelMaxLength: config.model_max_length ?? 512 }),
        ...tokenizerClass !== undefined && { tokenizer_class: tokenizerClass },
      },
      specialTokens,
    };
  }
  if (tokenizerClass === "RobertaTokenizer" && await exists(bpeFile) && await exists(mergesFile)) {
    const specialTokens = { ...ROBERTA_TOKENS, ...contentsOf(config) };
    const merges = (await readText(mergesFile)).split(/\r?\n/)
      .filter((line) => line !== "" && !line.startsWith("#version"));
    return {
      file: bpeFile,
      json: {
        ...byteLevelTokenizerJson(await readJson(bpeFile, Vocabulary), merges, {
          addPrefixSpace: config.add_prefix_space ?? false,
          specialTokens,
        }),
      },
      config: { ...config, tokenizer_class: tokenizerClass, ...specialTokens },
      specialTokens,
    };
  }
  throw await unreadable(dir, tokenizerClass);
}

/** An error that says why a folder without `tokenizer.json` cannot be read, and what to do. */
async function unreadable(dir: string, tokenizerClass: string | undefined): Promise<UserError> {
  for (const file of SENTENCEPIECE_FILES) {
    if (!await exists(join(dir, file))) continue;
    return new UserError(
      `Cannot read '${
        join(dir, file)
      }': Graft reads ${TOKENIZER_FILES.tokenizer}, which Python makes ` +
        `of it: AutoTokenizer.from_pretrained("${dir}").save_pretrained("${dir}")`,
    );
  }
  const needed = tokenizerClass === "RobertaTokenizer"
    ? `${TOKENIZER_FILES.bpeVocabulary} with ${TOKENIZER_FILES.merges}`
    : WORDPIECE_CLASSES.includes(tokenizerClass ?? "BertTokenizer")
    ? TOKENIZER_FILES.vocabulary
    : undefined;
  const alternative = needed === undefined ? "" : ` and no ${needed}`;
  const owner = tokenizerClass === undefined ? "" : ` for its ${tokenizerClass}`;
  return new UserError(
    `Cannot read a tokenizer from '${dir}': it holds no ${TOKENIZER_FILES.tokenizer}${alternative}${owner}`,
  );
}

/**
 * The added tokens of all places: `tokenizer.json`, `added_tokens_decoder` of `tokenizer_config.json`,
 * `added_tokens.json`, and tokens with a purpose, which have the next ids if nothing gives them one.
 */
async function allAddedTokens(
  dir: string,
  definition: TokenizerJson,
  config: Config,
  named: NamedTokens,
): Promise<AddedTokenJson[]> {
  const ids = vocabularyOf(definition.model);
  const tokens = new Map<string, AddedTokenJson>();
  const holders = new Map([...ids].map(([token, id]) => [id, token]));
  const add = (file: string, token: AddedTokenJson) => {
    const { id, content } = token;
    const known = tokens.get(content)?.id ?? ids.get(content);
    if (known !== undefined && known !== id) {
      throw new UserError(
        `Cannot read '${
          join(dir, file)
        }': it gives '${content}' the id ${id}, which is ${known} elsewhere`,
      );
    }
    const holder = holders.get(id);
    if (holder !== undefined && holder !== content) {
      throw new UserError(
        `Cannot read '${
          join(dir, file)
        }': it gives '${content}' the id ${id}, which '${holder}' has`,
      );
    }
    if (!tokens.has(content)) tokens.set(content, token);
    holders.set(id, content);
  };

  for (const token of definition.added_tokens) add(TOKENIZER_FILES.tokenizer, token);
  for (const [id, token] of Object.entries(config.added_tokens_decoder ?? {})) {
    add(TOKENIZER_FILES.config, AddedToken.parse({ ...token, id: Number(id) }));
  }
  const purposes = namedTokens(named);
  const isNamed = new Set(purposes.map(({ content }) => content));
  const addedFile = join(dir, TOKENIZER_FILES.addedTokens);
  const added = await exists(addedFile) ? await readJson(addedFile, Vocabulary) : {};
  for (const [content, id] of Object.entries(added)) {
    const special = isNamed.has(content);
    add(
      TOKENIZER_FILES.addedTokens,
      AddedToken.parse({ id, content, special, normalized: !special }),
    );
  }
  for (const token of purposes) {
    const { content } = token;
    if (tokens.has(content)) continue;
    const next = holders.keys().reduce((largest, id) => Math.max(largest, id), -1) + 1;
    const id = ids.get(content) ?? next;
    add(
      TOKENIZER_FILES.specialTokens,
      AddedToken.parse({ normalized: false, ...token, id, special: true }),
    );
  }
  return [...tokens.values()].sort((one, other) => one.id - other.id);
}

/** The tokens with a purpose, and the further special ones, as objects. */
function namedTokens(named: NamedTokens): { content: string }[] {
  const { additional_special_tokens: additional, extra_special_tokens: extra } = named;
  const listed = [additional, extra].flatMap((tokens) => Object.values(tokens ?? {}));
  const purposes = SPECIAL_TOKEN_NAMES.map((name) => named[name]);
  return [...purposes, ...listed].flatMap((token) =>
    token == null ? [] : typeof token === "string" ? { content: token } : token
  );
}

/** @throws {UserError} If it is not a regular file, or a pointer of Git LFS. */
async function readText(file: string): Promise<string> {
  await checkRegular(file);
  const text = await Deno.readTextFile(file);
  if (text.startsWith(LFS_START)) throw new UserError(`Cannot read '${file}': ${LFS_FAULT}`);
  return text;
}
