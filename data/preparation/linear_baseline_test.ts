import { deepStrictEqual, ok } from "node:assert";
import { readDataset, SAMPLE_DIR } from "../dataset.ts";
import { LinearBaseline } from "./linear_baseline.ts";

Deno.test("LinearBaseline agrees with scikit-learn's TF-IDF and LinearSVC on the sample", async () => {
  const { labels, train, test } = await readDataset(SAMPLE_DIR);
  const classOf = ({ label }: { label: string }) => labels.indexOf(label);
  const baseline = LinearBaseline.fit(
    Array.from(train, ({ text }) => text),
    Array.from(train, classOf),
    6,
  );
  const right = test.filter((row) => baseline.predict(row.text) === classOf(row)).length;
  // token_pattern=r"[^\W_]+", ngram_range=(1, 2), C=1: 514 of 600.
  ok(Math.abs(right - 514) <= 1, `${right} are right`);
});

Deno.test("LinearBaseline learns from pairs of words what single words do not tell", () => {
  const texts = ["dog bites man", "man bites dog", "dog bites man!", "Man bites dog."];
  const baseline = LinearBaseline.fit(texts, [0, 1, 0, 1], 2);
  deepStrictEqual(texts.map((text) => baseline.predict(text)), [0, 1, 0, 1]);
});

Deno.test("LinearBaseline takes a text of unknown words for the commonest class", () => {
  const texts = ["red apple", "blue sky", "green hill", "grey rain"];
  for (const rare of [0, 1]) {
    const baseline = LinearBaseline.fit(texts, texts.map((_, i) => i === 0 ? rare : 1 - rare), 2);
    deepStrictEqual(baseline.predict("nothing of it"), 1 - rare);
  }
});
