/**
 * Stories, dialogues and descriptions of free games.
 *
 * @module
 */
import { filesIn, type Packages, readText } from "../packages.ts";
import { captures, countWords, paragraphs, passages, squeeze } from "../text.ts";

/** The campaigns of The Battle for Wesnoth. */
export function* wesnoth(packages: Packages): Generator<string> {
  for (const name of packages.debianNames("wesnoth")) {
    for (const path of filesIn(`${packages.debian(name)}/share/games`, /\.cfg$/)) {
      for (const text of captures(readText(path), /_ *"((?:[^"]|"")*)"/g)) {
        const plain = text.replaceAll('""', '"').replace(/<[^>]*>/g, "");
        for (const paragraph of paragraphs(plain)) yield* passages(squeeze(paragraph));
      }
    }
  }
}

/** Descriptions and speech of Dungeon Crawl Stone Soup. */
export function* crawl(packages: Packages): Generator<string> {
  for (const part of ["descript", "database"]) {
    const folder = `${packages.debian("crawl-common")}/share/crawl/dat/${part}`;
    // Folders inside are translations; quotes.txt cites other authors.
    for (const path of filesIn(folder, /^\w+\.txt$/, /quotes\.txt$/)) {
      const text = readText(path).replace(/^(#.*|%%%%.*|\{\{[\s\S]*?\}\}|w:\d+)$/gm, "\n");
      for (const paragraph of paragraphs(text)) {
        const prose = squeeze(
          paragraph
            .replace(/^[A-Z]{3,}:/, "")
            .replace(/@the_\w+@/gi, "the monster")
            .replace(/@foe\w*@/gi, "you")
            .replace(/\[([^|\]]*)\|[^\]]*\]/g, "$1") // the first of [this|that]
            .replace(/<[^>]*>/g, " "),
        );
        const isTemplate = /[@{}_]/.test(prose);
        if (countWords(prose) > 3 && !isTemplate) yield* passages(prose);
      }
    }
  }
}

/** The help texts and rules of Freeciv. */
export function* freeciv(packages: Packages): Generator<string> {
  const folder = `${packages.debian("freeciv-data")}/share/games/freeciv`;
  for (const path of filesIn(folder, /\.(ruleset|txt|serv|lua)$/)) {
    const rules = readText(path)
      .replace(/"\), *_\("/g, "\\n\\n") // paragraphs of one text
      .replace(/\\\r?\n/g, "");
    for (const text of captures(rules, /_\("((?:[^"\\]|\\.)*)"/g)) {
      for (const paragraph of text.replace(/\?\w+:/g, "").split("\\n\\n")) {
        const prose = squeeze(paragraph.replaceAll("\\n", " ").replaceAll('\\"', '"'));
        if (countWords(prose) > 1 && !/%s|%d/.test(prose)) yield* passages(prose);
      }
    }
  }
}

/** Names, descriptions and dialogues of Cataclysm: Dark Days Ahead. */
export function* cataclysm(packages: Packages): Generator<string> {
  const folder = `${packages.debian("cataclysm-dda-data")}/share/games/cataclysm-dda/json`;
  for (const path of filesIn(folder, /\.json$/, /mapgen|ascii_art|palette/)) {
    yield* jsonTexts(JSON.parse(readText(path)), "");
  }
}

function* jsonTexts(value: unknown, key: string): Generator<string> {
  if (typeof value === "string") {
    const isComment = key.startsWith("//");
    const isName = /^(name|str|str_sp)$/.test(key);
    const fewestWords = isName ? 2 : 4;
    if (isComment || (!isName && countWords(value) < fewestWords)) return;
    for (const paragraph of value.replace(/<[^<>]*>/g, "").split(/\n+/)) {
      const prose = squeeze(paragraph.replace(/%[sd]|&/g, ""));
      const isTemplate = /[_@$]/.test(prose);
      if (countWords(prose) >= fewestWords && !isTemplate) yield* passages(prose);
    }
  } else if (Array.isArray(value)) {
    for (const item of value) yield* jsonTexts(item, key);
  } else if (value !== null && typeof value === "object") {
    for (const [name, item] of Object.entries(value)) yield* jsonTexts(item, name);
  }
}

/** Missions and descriptions of Endless Sky. */
export function* endlessSky(packages: Packages): Generator<string> {
  const folder = `${packages.debian("endless-sky-data")}/share/games/endless-sky/data`;
  for (const path of filesIn(folder, /\.txt$/)) {
    const data = readText(path).replace(/^\s*#.*$/gm, "");
    for (const text of captures(data, /`([^`\n]+)`|"([^"\n]+)"/g)) {
      const prose = squeeze(text.replace(/[<>&]/g, ""));
      if (countWords(prose) > 4) yield* passages(prose);
    }
  }
}

const COMMANDS_AND_CREDITS =
  /^(@.*|\s*(Created|Modified|Updated|Author|Level|Date)\b.*|\{.*|.*[\w.]@[\w.].*)$/gim;

/** Messages on the maps of Crossfire. */
export function* crossfire(packages: Packages): Generator<string> {
  const folder = `${packages.debian("crossfire-maps")}/share/games/crossfire/maps`;
  for (const path of filesIn(folder, /./, /\.(py|png|tar|reg)$/)) {
    for (const message of captures(readText(path), /^(?:end)?msg\n([\s\S]*?)^endmsg/gm)) {
      const text = message.replace(COMMANDS_AND_CREDITS, "").replace(/\[[^\]]*\]/g, "");
      for (const paragraph of paragraphs(text)) {
        const prose = squeeze(paragraph);
        if (countWords(prose) > 3) yield* passages(prose);
      }
    }
  }
}
