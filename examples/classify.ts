/**
 * Classifies texts with a trained model:
 * `deno run --allow-read examples/classify.ts runs/titles "How to bake sourdough bread"`.
 *
 * @module
 */
import { loadClassifier } from "@graft/graft";

const [model = "runs/titles", ...texts] = Deno.args;
await using classifier = await loadClassifier(model);
for (const [i, [best]] of (await classifier.classify(texts)).entries()) {
  console.log(texts[i], "->", best?.label, best?.score.toFixed(3));
}
