import { Tokenizer } from "@huggingface/tokenizers";
import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { SPECIAL_TOKENS_MAP, tokenizerConfig, tokenizerJson } from "./tokenizer_files.ts";

const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const HUGS = [...SPECIAL_TOKENS, "h", "u", "g", "##u", "##g", "##s", "hug", "pun", "bun"];

function createTokenizer(vocabulary: readonly string[], lowercase = true): Tokenizer {
  return new Tokenizer(
    tokenizerJson(vocabulary, { lowercase }),
    tokenizerConfig({ lowercase, modelMaxLength: 512 }),
  );
}

Deno.test("tokenizerJson() describes a tokenizer that frames a text", () => {
  const tokenizer = createTokenizer(HUGS);
  const { tokens, ids, attention_mask } = tokenizer.encode("Hug PÚNS, zug");
  deepStrictEqual(tokens, ["[CLS]", "hug", "pun", "##s", "[UNK]", "[UNK]", "[SEP]"]);
  deepStrictEqual(ids, [2, 11, 12, 10, 1, 1, 3]);
  deepStrictEqual(attention_mask, [1, 1, 1, 1, 1, 1, 1]);
  strictEqual(tokenizer.decode(ids, { skip_special_tokens: true }), "hug puns");
});

Deno.test("tokenizerJson() describes a tokenizer that frames a pair of texts", () => {
  const tokenizer = createTokenizer(HUGS);
  const { tokens, token_type_ids } = tokenizer.encode("hug", {
    text_pair: "pun bun",
    return_token_type_ids: true,
  });
  deepStrictEqual(tokens, ["[CLS]", "hug", "[SEP]", "pun", "bun", "[SEP]"]);
  deepStrictEqual(token_type_ids, [0, 0, 0, 1, 1, 1]);
});

Deno.test("tokenizerJson() keeps special tokens in a text whole", () => {
  const tokenizer = createTokenizer(HUGS);
  deepStrictEqual(tokenizer.tokenize("hug[MASK]pun"), ["hug", "[MASK]", "pun"]);
});

Deno.test("tokenizerJson() tells the tokenizer whether to lowercase", () => {
  const vocabulary = [...SPECIAL_TOKENS, "a", "A", "é"];
  deepStrictEqual(createTokenizer(vocabulary, true).tokenize("a A"), ["a", "a"]);
  deepStrictEqual(createTokenizer(vocabulary, false).tokenize("a A é"), ["a", "A", "é"]);
});

Deno.test("tokenizerJson() takes special tokens wherever the vocabulary has them", () => {
  const vocabulary = ["[PAD]", "a", "[UNK]", "[SEP]", "[CLS]", "[MASK]"];
  deepStrictEqual(createTokenizer(vocabulary).encode("a b").ids, [4, 1, 2, 3]);
  const { added_tokens } = tokenizerJson(vocabulary, { lowercase: true });
  deepStrictEqual(added_tokens.map(({ id }) => id), [0, 2, 3, 4, 5]);
});

Deno.test("tokenizerJson() survives being written as JSON", () => {
  const json = tokenizerJson(HUGS, { lowercase: true });
  deepStrictEqual(JSON.parse(JSON.stringify(json)), json);
});

Deno.test("tokenizerJson() rejects a vocabulary without the special tokens", () => {
  throws(() => tokenizerJson(["[PAD]", "[UNK]", "[CLS]", "a"], { lowercase: true }), {
    message: "Cannot describe the tokenizer: the vocabulary must hold '[SEP]'",
  });
});

Deno.test("tokenizerConfig() names the tokenizer, its limit and its special tokens", () => {
  deepStrictEqual(tokenizerConfig({ lowercase: false, modelMaxLength: 128 }), {
    tokenizer_class: "BertTokenizer",
    do_lower_case: false,
    strip_accents: false,
    tokenize_chinese_chars: true,
    clean_up_tokenization_spaces: true,
    model_max_length: 128,
    ...SPECIAL_TOKENS_MAP,
  });
});
