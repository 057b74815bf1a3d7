import { deepStrictEqual } from "node:assert";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { Packages } from "../packages.ts";
import { wikipedia } from "./articles.ts";
import { trivia } from "./conversation.ts";
import { dictd } from "./dictionaries.ts";

/** The texts of a source from one file among the unpacked packages. */
async function textsOf(
  source: (packages: Packages) => Iterable<string>,
  path: string,
  content: string | Uint8Array,
): Promise<string[]> {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(dirname(`${root}/${path}`), { recursive: true });
    await Deno.writeFile(
      `${root}/${path}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return [...source(new Packages(root))];
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("dictd() joins a short definition and its headword", async () => {
  const dictionary = "00-database-info\nA dictionary of few words.\n\n" +
    "Cat \\Cat\\, n.\n\n   1. A small animal that purrs. --Johnson.\n";
  deepStrictEqual(
    await textsOf(
      dictd("few"),
      "deb/dict-few/usr/share/dictd/few.dict.dz",
      gzipSync(dictionary),
    ),
    ["Cat: A small animal that purrs."],
  );
});

Deno.test("wikipedia() keeps prose and drops templates, tables, pictures and links", async () => {
  const xml = "<mediawiki><page><text>{{Infobox|{{nested}}}}[[File:a.png|A [[cat]] asleep]]\n" +
    "== Heading of the article ==\n'''Cats''' are [[Felidae|small animals]] that " +
    "[http://example.com purr]&amp;nbsp;loudly.&lt;ref&gt;A book&lt;/ref&gt;\n" +
    "{| class=x\n| one two three four five six\n|}</text></page>" +
    "<page><text>#REDIRECT [[Cat that is somewhere else now]]</text></page></mediawiki>";
  deepStrictEqual(await textsOf(wikipedia, "enwiki.xml", xml), [
    "Cats are small animals that purr loudly.",
  ]);
});

Deno.test("trivia() gives each question its first answer and skips pictures", async () => {
  const yaml = "AUTHOR: Somebody\nWho wrote ''Emma''?:\n- Jane Austen\n- Austen\n" +
    "https://example.com/flag.png:\n- France\n";
  deepStrictEqual(
    await textsOf(trivia, "pypi/redbot/cogs/trivia/data/lists/books.yaml", yaml),
    ["Who wrote 'Emma'? Jane Austen"],
  );
});
