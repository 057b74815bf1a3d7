/**
 * Lines that look like lower-case titles: random words, chains of word pairs, and combined names,
 * lemmas and bits of definitions. They widen a student's vocabulary.
 *
 * @module
 */
import { Draws } from "./draws.ts";
import type { Packages } from "./packages.ts";
import { basketball, firstNames } from "./sources/names.ts";
import {
  frequentWords,
  lemmasAndGlosses,
  plain,
  shortNames,
  teacherWords,
  type WordCounts,
  wordPairs,
} from "./word_lists.ts";

/** Common beginnings and ends of titles. */
const FRAMES = (
  "official video|official music video|live|live at|lyrics|full album|cover|remix|ft|feat|" +
  "vs|trailer|official trailer|full movie|episode|season|part|highlights|best of|top ten|" +
  "how to|how to make|why|what is|the best|the worst|review|unboxing|gameplay|walkthrough|" +
  "lets play|speedrun|reaction|interview|behind the scenes|breaking news|news|documentary|" +
  "tutorial|funny moments|compilation|prank|parody|sketch|stand up|challenge|vlog|" +
  "day in the life|explained|history of|the making of|first look|hd|new|2020|2021|2022|" +
  "2023|and|with|in|the|a|my|this is|i tried|when you|for|from|of|on"
).split("|");

/** The material for title lines, from the other sources. */
export interface Gathered {
  /** Names of games, characters, products. */
  names: string[];
  /** Titles of well-known films, series, books, and names of artists. */
  works: string[];
  /** How often each word occurs in all sources. */
  counts: WordCounts;
}

/** An endless stream of title-like lines of four to ten words, with some repeats. */
export function* titleLines(packages: Packages, gathered: Gathered): Generator<string> {
  const LONGEST = 10;
  const draws = new Draws(20240607);

  const frequent = frequentWords(packages);
  const word = draws.weighted(frequent);
  const teacherWord = draws.weighted(teacherWords(packages, frequent));
  const chain = wordChains(packages, draws);
  const { lemmas, glosses } = lemmasAndGlosses(packages, gathered.counts);
  const lemma = draws.weighted(lemmas);
  const names = shortNames(gathered.names, gathered.counts);
  const works = gathered.works.map(plain)
    .filter((work) => work.length > 1 && work.split(" ").length < 7);
  const first = [...firstNames(packages)].map(plain);
  const players = [...new Set([...basketball(packages)].map(plain))];

  const person = () => {
    if (draws.chance(0.4)) return draws.pick(players);
    return draws.chance(0.5) ? draws.pick(first) : `${draws.pick(first)} ${teacherWord()}`;
  };
  const piece = () => {
    const kind = draws.uniform();
    if (kind < 0.2) return draws.pick(works);
    if (kind < 0.35) return draws.pick(names);
    if (kind < 0.55) return lemma();
    if (kind < 0.7) return draws.pick(glosses);
    if (kind < 0.8) return person();
    return kind < 0.9 ? chain(3) : `${word()} ${word()}`;
  };
  const composition = () => {
    const pieces: string[] = [];
    const count = 2 + draws.integer(2);
    for (let index = 0; index < count; index++) {
      if (draws.chance(0.4)) pieces.push(draws.pick(FRAMES));
      pieces.push(piece());
    }
    if (draws.chance(0.2)) pieces.push(draws.pick(FRAMES));
    const words = pieces.join(" ").split(" ").filter((part) => part);
    while (words.length < 4) words.push(word());
    return words.slice(0, LONGEST).join(" ");
  };

  while (true) {
    const kind = draws.uniform();
    const length = 4 + draws.integer(LONGEST - 3);
    if (kind < 0.2) {
      yield Array.from({ length }, () => draws.chance(0.75) ? word() : teacherWord()).join(" ");
    } else if (kind < 0.35) yield chain(length);
    else yield composition();
  }
}

/** Makes chains of words that often follow each other: closer to speech than random words. */
function wordChains(packages: Packages, draws: Draws): (length: number) => string {
  const pairs = [...wordPairs(packages)];
  const start = draws.weighted(
    pairs.map(([word, followers]) => [
      word,
      Math.sqrt(followers.reduce((sum, [, weight]) => sum + weight, 0)),
    ]),
  );
  const followers = new Map(pairs.map(([word, weighted]) => [word, draws.weighted(weighted)]));
  return (length) => {
    const words = [start()];
    while (words.length < length) words.push((followers.get(words.at(-1)!) ?? start)());
    return words.join(" ");
  };
}
