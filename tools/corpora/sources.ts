/**
 * All sources of text, in order: lines of an earlier source are left out of later ones.
 *
 * @module
 */
import type { Packages } from "./packages.ts";
import {
  anarchism,
  debianHistory,
  debianPackages,
  gnomeHelp,
  wikipedia,
} from "./sources/articles.ts";
import { austen, mobyDick, shakespeare, stateOfTheUnion } from "./sources/books.ts";
import { aiml, chatterbot, trivia } from "./sources/conversation.ts";
import { dictd, wordnet } from "./sources/dictionaries.ts";
import { cataclysm, crawl, crossfire, endlessSky, freeciv, wesnoth } from "./sources/games.ts";
import { fakers, mame, media, msx } from "./sources/names.ts";

/** A source of text. */
export interface Source {
  /** The name of its file. */
  name: string;
  /** Yields short texts; each becomes a line. */
  texts: (packages: Packages) => Iterable<string>;
  /** Keeps one line in this many, for large sources that are archaic or on one subject. */
  oneIn?: number;
  /** A further use of its lines: titles are made of names and of well-known works. */
  holds?: "names" | "works";
}

/** The sources, the most valuable first. */
export const SOURCES: Source[] = [
  { name: "wordnet", texts: wordnet },
  { name: "media", texts: media, holds: "works" },
  { name: "trivia", texts: trivia },
  { name: "aiml", texts: aiml },
  { name: "chatterbot", texts: chatterbot },
  { name: "fakers", texts: fakers, holds: "names" },
  { name: "mame", texts: mame, holds: "names" },
  { name: "msx", texts: msx, holds: "names" },
  { name: "wikipedia", texts: wikipedia },
  { name: "gcide", texts: dictd("gcide"), oneIn: 3 },
  { name: "foldoc", texts: dictd("foldoc") },
  { name: "jargon", texts: dictd("jargon") },
  { name: "devil", texts: dictd("devil") },
  { name: "elements", texts: dictd("elements") },
  { name: "debian_packages", texts: debianPackages },
  { name: "debian_history", texts: debianHistory },
  { name: "gnome_help", texts: gnomeHelp },
  { name: "state_of_the_union", texts: stateOfTheUnion, oneIn: 2 },
  { name: "anarchism", texts: anarchism, oneIn: 6 },
  { name: "moby_dick", texts: mobyDick, oneIn: 4 },
  { name: "austen", texts: austen, oneIn: 4 },
  { name: "shakespeare", texts: shakespeare, oneIn: 4 },
  { name: "cataclysm", texts: cataclysm },
  { name: "wesnoth", texts: wesnoth },
  { name: "crawl", texts: crawl },
  { name: "freeciv", texts: freeciv },
  { name: "endless_sky", texts: endlessSky },
  { name: "crossfire", texts: crossfire },
];
