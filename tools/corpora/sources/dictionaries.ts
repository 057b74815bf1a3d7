/**
 * Dictionaries: WordNet and those in dictd's format.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { type Packages, readText } from "../packages.ts";
import { captures, countWords, paragraphs, passages, squeeze } from "../text.ts";

/** A set of synonyms of WordNet. */
export interface Synset {
  /** Words and phrases of one meaning. */
  lemmas: string[];
  /** The number of the lexicographer's file, which stands for the subject. */
  file: number;
  /** The definition, then examples in quotation marks. */
  gloss: string;
}

/** All synonym sets of WordNet. */
export function* synsets(packages: Packages): Generator<Synset> {
  for (const part of ["noun", "verb", "adj", "adv"]) {
    const text = readText(`${packages.debian("wordnet-base")}/share/wordnet/data.${part}`);
    for (const line of text.split("\n")) {
      if (!/^\d/.test(line)) continue; // the licence
      const [data = "", gloss = ""] = line.split(" | ");
      // The synset's offset, file, type, count of lemmas; then each lemma and a number.
      const [, file, , count = "", ...rest] = data.split(" ");
      const lemmas = Array.from(
        { length: parseInt(count, 16) },
        (_, index) => rest[2 * index]!.replace(/\(\w+\)$/, "").replaceAll("_", " "),
      );
      yield { lemmas, file: Number(file), gloss: gloss.trim() };
    }
  }
}

/** WordNet: the words of a synonym set with its definition, and each example by itself. */
export function* wordnet(packages: Packages): Generator<string> {
  for (const { lemmas, gloss } of synsets(packages)) {
    const definition = gloss.replace(/;?\s*"[^"]*".*$/, "").trim();
    yield `${lemmas.join(", ")}: ${definition}`;
    for (const example of captures(gloss, /"([^"]+)"/g)) {
      if (countWords(example) > 2) yield example;
    }
  }
}

/** A dictionary in dictd's format: headwords at the margin, indented definitions. */
export function dictd(name: string): (packages: Packages) => Generator<string> {
  return function* (packages) {
    const path = `${packages.debian(`dict-${name}`)}/share/dictd/${name}.dict.dz`;
    const text = new TextDecoder().decode(gunzipSync(Deno.readFileSync(path)));
    let headword = "";
    for (const block of paragraphs(text)) {
      if (block.startsWith("00-database")) continue;
      const atMargin = /^\S/.test(block);
      if (atMargin) headword = block.split("\n")[0]!.replace(/ ?\\.*$/, "").trim();
      const definition = squeeze(withoutNotation(block, atMargin));
      const count = countWords(definition);
      if (count < 3 || /\?{2}|http/.test(definition)) continue;
      // A definition reads better with its word, which dictd stores in another block.
      const whole = definition.includes(headword) || count > 12;
      yield* passages(whole ? definition : `${headword}: ${definition}`);
    }
  };
}

/** Drops a dictionary's own notation: pronunciation, numbers of senses, sources, links. */
function withoutNotation(block: string, atMargin: boolean): string {
  const text = block
    .replace(/^(\S.*?) ?\\[^\\]*\\/, "$1") // GCIDE's pronunciation
    .replace(/\["([a-z])\]/gi, "$1") // an accented letter
    .replace(/\[(ae|oe)\]/gi, "$1")
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/[{}]/g, "")
    .replace(/\\[^\\]*\\/g, "")
    .replace(/ ?\((?:\?|[^()]*[*"`|][^()]*)(?:; \d+)?\)/g, "")
    .replace(/\((?:https?|ftp|mailto)[^)]*\)/g, " ")
    .replace(/\(\d{4}-\d\d-\d\d\)/g, " ");
  return (atMargin ? text : text.replace(/^\s*\d+\.\s*(\([a-z]\)\s*)?/, ""))
    .replace(/--\s*[A-Z][\w.' ]*\.?\s*$/, ""); // who is quoted
}
