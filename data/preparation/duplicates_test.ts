import { strictEqual } from "node:assert";
import fc from "fast-check";
import { duplicateDigest, DuplicateNumbers } from "./duplicates.ts";
import { duplicateKey } from "./normalise.ts";

const SAME: [string, string][] = [
  ["Is this it?", "is  THIS it"],
  [" (a) ", "a"],
  ["Ａ１", "a1"],
  ["Straße, 5", "straße 5"],
];
const DIFFERENT: [string, string][] = [
  ["a b", "ab"],
  ["!!!", "???"],
  ["★!", "★?"],
  ["é", "e"],
  ["", "a"],
  ["ab", "ba"],
];

Deno.test("duplicateDigest() is the same where case, spaces and punctuation alone differ", () => {
  for (const [one, other] of SAME) strictEqual(duplicateDigest(one), duplicateDigest(other), one);
});

Deno.test("duplicateDigest() differs where the words do", () => {
  for (const [one, other] of DIFFERENT) {
    strictEqual(duplicateDigest(one) === duplicateDigest(other), false, `${one} and ${other}`);
  }
});

Deno.test("duplicateDigest() tells texts apart as their keys do", () => {
  const character = fc.constantFrom(..."aB9 é★Ａ!.\t\u0301\0");
  const text = fc.string({
    unit: fc.oneof(character, fc.string({ unit: "binary", maxLength: 1 })),
  });
  fc.assert(fc.property(text, text, (one, other) => {
    const areSame = duplicateKey(one) === duplicateKey(other);
    strictEqual(duplicateDigest(one) === duplicateDigest(other), areSame);
    strictEqual(duplicateDigest(one), duplicateDigest(duplicateKey(one)));
  }));
});

Deno.test("duplicateDigest() gives 100,000 texts that are much alike as many numbers", () => {
  const numbers = new DuplicateNumbers();
  for (let i = 0; i < 100_000; i++) numbers.of(`text ${i} of a hundred thousand`);
  strictEqual(numbers.size, 100_000);
});
