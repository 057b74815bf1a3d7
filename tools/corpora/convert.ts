/**
 * Turns the packages that `fetch.sh` unpacked into plain text, one file per source:
 * `deno run --allow-read --allow-write=OUT convert.ts UNPACKED OUT`. Each line is a short text: a
 * few sentences, a title, a definition.
 *
 * @module
 */
import { Packages } from "./packages.ts";
import { type Source, SOURCES } from "./sources.ts";
import { isEnglish, squeeze } from "./text.ts";
import { titleLines } from "./title_lines.ts";

const TITLE_LINES = 400_000;

const [unpacked, out] = Deno.args;
if (!unpacked || !out) throw new Error("Usage: convert.ts UNPACKED OUT");

/** The lines that a source adds to those seen before. */
function* newLines(source: Source, packages: Packages, seen: Set<string>): Generator<string> {
  for (const text of source.texts(packages)) {
    const line = squeeze(text.replace(/\p{Cc}/gu, " ")).replace(/^[-*.,;:) ]+/, "");
    const isFit = line.length >= 3 && line.length <= 2000 && isEnglish(line);
    if (!isFit || seen.has(line)) continue;
    seen.add(line);
    if (seen.size % (source.oneIn ?? 1) === 0) yield line;
  }
}

function countWordsOf(lines: string[], counts: Map<string, number>): void {
  for (const line of lines) {
    for (const word of line.toLowerCase().match(/[a-z][a-z']*[a-z]/g) ?? []) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
}

function save(name: string, lines: string[]): void {
  const bytes = new TextEncoder().encode(lines.join("\n") + "\n");
  Deno.writeFileSync(`${out}/${name}.txt`, bytes);
  console.log(`${name}\t${lines.length} lines\t${bytes.length} bytes`);
}

const packages = new Packages(unpacked);
const seen = new Set<string>();
const counts = new Map<string, number>();
const names: string[][] = [];
const works: string[][] = [];

for (const source of SOURCES) {
  const lines = [...newLines(source, packages, seen)];
  countWordsOf(lines, counts);
  save(source.name, lines);
  if (source.holds === "names") names.push(lines);
  if (source.holds === "works") works.push(lines);
}

const titles = new Set<string>();
for (const line of titleLines(packages, { names: names.flat(), works: works.flat(), counts })) {
  titles.add(line);
  if (titles.size === TITLE_LINES) break;
}
Deno.mkdirSync(`${out}/wordlists`, { recursive: true });
save("wordlists/titles", [...titles]);
