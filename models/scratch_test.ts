import { strictEqual } from "node:assert";
import fc from "fast-check";
import { scratchVocabulary, scratchWordPieces } from "./scratch.ts";
import { Tokenizer } from "./text/tokenizer.ts";

Deno.test("scratchWordPieces() counts what the tokenizer of a model from scratch gives", () => {
  const characters = fc.constantFrom(..."ab ab  .\t\n\u00a0\u0301\u4e00ÀÖΣςﬁ\u200d\u{1F600}[MASK]");
  const text = fc.oneof(fc.string({ unit: characters }), fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 10 }), (texts) => {
      const tokenizer = Tokenizer.fromVocabulary(scratchVocabulary(texts), {
        modelMaxLength: Infinity,
      });
      const count = scratchWordPieces(texts);
      for (const text of texts) {
        strictEqual(count(text), tokenizer.countTokens(text) - tokenizer.specialTokenCount);
      }
    }),
    { numRuns: 30 },
  );
});
