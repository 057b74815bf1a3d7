/**
 * Trains a classifier on a table and measures it on texts that were held back:
 * `deno run --allow-read --allow-write examples/train.ts tickets.csv`. A number after the table ends
 * training after that many steps.
 *
 * @module
 */
import { evaluate, loadClassifier, SAMPLE_DIR, train, UserError } from "@graft/graft";

const [table = SAMPLE_DIR, maxSteps] = Deno.args;
try {
  const settings = maxSteps === undefined ? {} : { maxSteps: Number(maxSteps) };
  const { model_dir: dir } = await train(table, settings, {
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
