/**
 * Articles, manuals and descriptions.
 *
 * @module
 */
import { markupParagraphs, unescapeEntities } from "../markup.ts";
import { filesIn, type Packages, readText } from "../packages.ts";
import { countWords, passages, squeeze } from "../text.ts";

/** The Wikipedia articles in gensim's tests. */
export function* wikipedia(packages: Packages): Generator<string> {
  for (const page of readText(packages.path("enwiki.xml")).split("<page>").slice(1)) {
    const source = unescapeEntities(/<text[^>]*>([\s\S]*?)<\/text>/.exec(page)?.[1] ?? "");
    if (/^#redirect/i.test(source)) continue;
    for (const line of withoutWikiMarkup(source).split("\n")) {
      if (/^[=|!{}]/.test(line) || /[{}|]/.test(line)) continue;
      const prose = squeeze(
        unescapeEntities(line).replace(/^[*#:; ]+/, "").replace(/ ?\(\W*\)/g, ""),
      );
      if (countWords(prose) > 4) yield* passages(prose);
    }
  }
}

function withoutWikiMarkup(source: string): string {
  let text = source
    .replace(/<!--[\s\S]*?-->/g, "")
    .replace(/<ref[^>]*\/>/g, "")
    .replace(/<(ref|math|gallery|timeline|code)\b[\s\S]*?<\/\1>/g, "");
  // Templates, tables and pictures nest: the innermost go first.
  for (let before = ""; before !== text;) {
    before = text;
    text = text
      .replace(/\{\{[^{}]*\}\}/g, "")
      .replace(/\{\|[^{}]*\|\}/g, "")
      .replace(/\[\[(?:File|Image|Category):(?:[^[\]]|\[\[[^[\]]*\]\])*\]\]/gi, "");
  }
  return text
    .replace(/\[\[(?:[^[\]|]*\|)?([^[\]]*)\]\]/g, "$1") // [[article|shown text]]
    .replace(/\[\S+ ?([^\]]*)\]/g, "$1") // [address shown text]
    .replace(/'{2,}/g, "")
    .replace(/<[^>]*>/g, "")
    .replace(/&nbsp;/g, " ");
}

/** An Anarchist FAQ. */
export function* anarchism(packages: Packages): Generator<string> {
  const folder = `${packages.debian("anarchism")}/share/doc/anarchism/html`;
  for (const path of filesIn(folder, /\.html$/)) {
    yield* proseOf(markupParagraphs(readText(path)), 6);
  }
}

/** A Brief History of Debian. */
export function* debianHistory(packages: Packages): Generator<string> {
  const folder = `${packages.debian("debian-history")}/share/doc/debian-history/docs`;
  for (const path of filesIn(folder, /\.en\.html$/)) {
    yield* proseOf(markupParagraphs(readText(path)), 6);
  }
}

/** The help pages of GNOME. */
export function* gnomeHelp(packages: Packages): Generator<string> {
  for (const path of filesIn(`${packages.debian("gnome-user-docs")}/share/help/C`, /\.page$/)) {
    yield* proseOf(markupParagraphs(readText(path), "info|code|screen|keyseq"), 4);
  }
}

function* proseOf(texts: string[], fewestWords: number): Generator<string> {
  for (const text of texts) {
    const prose = squeeze(text);
    if (countWords(prose) >= fewestWords) yield* passages(prose);
  }
}

const TECHNICAL_NAME =
  /^(lib|golang|librust|node|ruby|python3?|r|haskell|gir1|elpa|linux|cl|gcc|g\+\+|gap|php|octave|ocaml|binutils|lua|task|texlive)-?|-(dev|dbg|doc|dbgsym|perl|java|cross|common|data)$/;

const TECHNICAL_SECTION =
  /^(libdevel|debug|devel|kernel|localization|python|perl|ruby|rust|golang|haskell|java|javascript|php|lisp|ocaml|libs|oldlibs|metapackages)$/;

const BOILERPLATE =
  /this (meta)?package (contains|provides|is a|installs|depends)|debugging symbols|transitional/i;

/** Descriptions of Debian's packages: all programs, but few libraries, which are many and alike. */
export function* debianPackages(packages: Packages): Generator<string> {
  const LIBRARIES_ONE_IN = 12;
  const sections = new Map<string, string>();
  for (const entry of readText(packages.path("packages.txt")).split("\n\n")) {
    sections.set(field(entry, "Package") ?? "", field(entry, "Section") ?? "");
  }
  let libraries = 0;
  for (const entry of readText(packages.path("descriptions.txt")).split("\n\n")) {
    const name = field(entry, "Package");
    const description = /^Description-en: ([\s\S]*)$/m.exec(entry)?.[1];
    if (!name || !description) continue;
    const section = sections.get(name) ?? "";
    const isLibrary = section !== "games" &&
      (TECHNICAL_NAME.test(name) || TECHNICAL_SECTION.test(section));
    if (isLibrary && libraries++ % LIBRARIES_ONE_IN !== 0) continue;
    const [title = "", ...lines] = description.split("\n");
    yield title;
    // A lone dot separates paragraphs.
    for (const paragraph of lines.join("\n").split(/\n \.\s*\n?/)) {
      const isListOrCode = /^ {2,}/m.test(paragraph);
      if (isListOrCode || BOILERPLATE.test(paragraph)) continue;
      const prose = squeeze(paragraph);
      if (countWords(prose) > 4 && !/https?:/.test(prose)) yield* passages(prose);
    }
  }
}

function field(entry: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, "m").exec(entry)?.[1];
}
