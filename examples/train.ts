/**
 * Trains a classifier on a table and measures it on texts that were held back:
 * `deno run --allow-read --allow-write examples/train.ts tickets.csv`.
 *
 * @module
 */
import { evaluate, loadClassifier, SAMPLE_DIR, train, UserError } from "@graft/graft";

const [table = SAMPLE_DIR, maxSteps = "100"] = Deno.args;
try {
  const { model_dir: dir } = await train(table, { maxSteps: Number(maxSteps) }, {
    onNote: (note) => console.log(note),
    onEvent(event) {
      if (event.type === "evaluation") console.log(`Epoch ${event.epoch}: loss ${event.loss}`);
    },
  });
  await using classifier = await loadClassifier(dir);
  const report = await evaluate(classifier);
  if (report.problem_type === "single_label_classification") {
    console.log(`${dir}: accuracy ${report.accuracy} on ${report.n} texts`);
  }
} catch (error) {
  // The data or a setting cannot be used; the message says why.
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  Deno.exitCode = 1;
}
