/**
 * The special tokens around a text, or around the two of a pair: `[CLS] a [SEP] b [SEP]` for BERT,
 * `<s> a </s></s> b </s>` for RoBERTa.
 *
 * @module
 */
import type { PostProcessorJson, TemplateItemJson } from "../formats/tokenizer_json.ts";

/** The ids of special tokens around texts. */
export interface Template {
  single: { before: number[]; after: number[] };
  pair: { before: number[]; between: number[]; after: number[] };
  /** Whether the second text of a pair, and the tokens after it, have token type 1. */
  hasTypes: boolean;
}

/**
 * The template that a tokenizer's `post_processor` describes.
 *
 * @throws {Error} If Graft cannot run it; the message says why.
 */
export function templateOf(json: PostProcessorJson | null): Template {
  if (json !== null && "cls" in json) {
    const [cls, sep] = [json.cls[1], json.sep[1]];
    const isBert = json.type === "BertProcessing";
    return {
      single: { before: [cls], after: [sep] },
      pair: { before: [cls], between: isBert ? [sep] : [sep, sep], after: [sep] },
      hasTypes: isBert,
    };
  }
  if (json?.type === "TemplateProcessing") {
    const ids = (items: readonly TemplateItemJson[]) =>
      items.flatMap(({ SpecialToken: token }) => {
        const ids = json.special_tokens[token!.id]?.ids;
        if (ids === undefined) throw new Error(`must give the ids of '${token!.id}'`);
        return ids;
      });
    const [before, after] = splitAt(json.single, ["A"]);
    const [pairBefore, between, pairAfter] = splitAt(json.pair, ["A", "B"]);
    requireTokens(json.single.length - 1);
    return {
      single: { before: ids(before!), after: ids(after!) },
      pair: { before: ids(pairBefore!), between: ids(between!), after: ids(pairAfter!) },
      hasTypes: hasTypes(json.pair),
    };
  }
  const steps = json?.type === "Sequence" ? json.processors : [];
  const adding = steps.filter(({ type }) => type !== "ByteLevel");
  if (adding.length > 1) throw new Error("must add special tokens in one step");
  requireTokens(adding.length);
  return templateOf(adding[0]!);
}

function requireTokens(count: number): void {
  if (count < 1) throw new Error("must put a special token beside each text, as [CLS]");
}

/** The special tokens before, between and after the texts. */
function splitAt(items: readonly TemplateItemJson[], texts: string[]): TemplateItemJson[][] {
  const found = items.flatMap(({ Sequence }) => Sequence?.id ?? []);
  if (String(found) !== String(texts)) {
    throw new Error(`must hold the texts ${texts.join(" and ")} in this order, got ${found}`);
  }
  const parts: TemplateItemJson[][] = [[]];
  for (const item of items) {
    if (item.Sequence === undefined) parts.at(-1)!.push(item);
    else parts.push([]);
  }
  return parts;
}

function hasTypes(pair: readonly TemplateItemJson[]): boolean {
  const types = pair.map(({ Sequence, SpecialToken }) => (Sequence ?? SpecialToken)!.type_id);
  const second = pair.findIndex(({ Sequence }) => Sequence?.id === "B");
  const hasTypes = types[second] === 1;
  if (types.every((type, i) => type === Number(hasTypes && i >= second))) return hasTypes;
  throw new Error("must give type 1 to the second text and what follows it, or to nothing");
}
