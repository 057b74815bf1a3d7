import { deepStrictEqual } from "node:assert";
import { markupParagraphs, stringLiterals, unescapeEntities } from "./markup.ts";
import { squeeze } from "./text.ts";

Deno.test("unescapeEntities() replaces known references and keeps others", () => {
  deepStrictEqual(
    unescapeEntities("R&amp;B &#233;t&#xE9; &unheard; &constructor; &#x110000; &#1114112;"),
    "R&B été &unheard; &constructor; &#x110000; &#1114112;",
  );
});

Deno.test("markupParagraphs() splits at block elements and skips what is not prose", () => {
  const html = "<head><title>No</title></head><p>One <b>bold</b><!-- not this --> &lt;word&gt;" +
    "<pre>code</pre><li class='x'>Two</li>";
  deepStrictEqual(
    markupParagraphs(html).map(squeeze).filter((text) => text),
    ["One bold <word>", "Two"],
  );
});

Deno.test("stringLiterals() reads all kinds of quotation marks and escapes", () => {
  deepStrictEqual(
    [...stringLiterals(String.raw`["a \"b\"", 'it\'s', "caf\u00e9\nbar"]` + "`raw`")],
    ['a "b"', "it's", "café bar", "raw"],
  );
});
