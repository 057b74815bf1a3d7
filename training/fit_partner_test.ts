import { deepStrictEqual, ok } from "node:assert";
import type { Problem } from "../data/labels.ts";
import { Random } from "../lib/random.ts";
import { fitPartner } from "./fit_partner.ts";

const PROBLEM: Problem = { problemType: "single_label_classification", labels: ["food", "sport"] };

/** Texts with the word of their class among others. */
function examples(count: number, seed: number): { text: string; label: string }[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const label = PROBLEM.labels[random.integer(2)]!;
    const word = label === "food" ? "soup" : "goal";
    return { text: `${word} number ${random.integer(1000)}`, label };
  });
}

/** Logits that are right in `rightOfTen` of ten cases. */
function logitsOf(texts: { label: string }[], rightOfTen: number): number[][] {
  return texts.map(({ label }, i) => {
    const isFood = (label === "food") === (i % 10 < rightOfTen);
    return isFood ? [1, -1] : [-1, 1];
  });
}

Deno.test("fitPartner() gives a partner to a network that guesses, with nearly all the weight", () => {
  const [train, validation] = [examples(80, 1), examples(60, 2)];
  const pooled = fitPartner(train, validation, logitsOf(validation, 5), PROBLEM);
  ok(pooled !== undefined);
  ok(pooled.scales.partner > 3 * pooled.scales.network);
  const { logits } = pooled.answer("soup of the day");
  ok(logits[0]! > logits[1]!);
});

Deno.test("fitPartner() gives none where n-grams tell nothing", () => {
  const validation = examples(60, 2);
  const noise = examples(80, 1).map(({ label }, i) => ({ text: `text ${i}`, label }));
  const unknown = validation.map(({ label }, i) => ({ text: `word ${i}`, label }));
  deepStrictEqual(fitPartner(noise, unknown, logitsOf(unknown, 9), PROBLEM), undefined);
});

Deno.test("fitPartner() takes n-grams of characters where validation shows that they help", () => {
  // The class shows in a syllable of words that all differ.
  const syllables = (count: number, seed: number) => {
    const random = new Random(seed);
    const letters = () => Array.from({ length: 3 }, () => "bcdfghjk"[random.integer(8)]).join("");
    return Array.from({ length: count }, () => {
      const label = PROBLEM.labels[random.integer(2)]!;
      return { text: `${letters()}${label === "food" ? "ou" : "ey"}${letters()}`, label };
    });
  };
  const characters = (
    train: ReturnType<typeof examples>,
    validation: ReturnType<typeof examples>,
  ) => fitPartner(train, validation, logitsOf(validation, 6), PROBLEM)?.partner.state.characters;
  deepStrictEqual(characters(syllables(80, 1), syllables(60, 2)), true);
  // Two words in either order: characters are the same in both, and stand in the way.
  const ordered = (count: number, seed: number) =>
    examples(count, seed).map(({ label }, i) => ({
      text: label === "food" ? `soup goal ${i}` : `goal soup ${i}`,
      label,
    }));
  deepStrictEqual(characters(ordered(80, 1), ordered(60, 2)), false);
});

Deno.test("fitPartner() takes numbers", () => {
  const problem: Problem = { problemType: "regression", labels: ["LABEL_0"] };
  const numbered = (count: number, seed: number) =>
    examples(count, seed).map(({ text, label }) => ({ text, label: label === "food" ? "3" : "7" }));
  const validation = numbered(60, 2);
  const pooled = fitPartner(numbered(80, 1), validation, validation.map(() => [5]), problem);
  const { logits, networkScale } = pooled!.answer("soup of the day");
  ok(Math.abs(logits[0]! + networkScale * 5 - 3) < 0.5);
});
