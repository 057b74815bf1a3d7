/**
 * The `README.md` of a model's folder: what it is, what it was trained on, what it is worth.
 *
 * @module
 */
import { basename } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import type { TrainResult } from "./events.ts";
import type { TrainSettings } from "./settings.ts";

/** What a model card tells of. */
export interface ModelCard {
  result: TrainResult;
  settings: TrainSettings;
  dataset: Pick<Dataset, "labels" | "train" | "validation" | "test">;
}

/** The card in Markdown, with the metadata that the Hugging Face hub reads. */
export function modelCard({ result, settings, dataset }: ModelCard): string {
  const { metrics } = result;
  const trainCount = Math.min(settings.maxTrainSamples ?? Infinity, dataset.train.length);
  const figure = (value: number) => value.toFixed(3);
  const rows = [
    ["accuracy", metrics.accuracy, ...metrics.interval.accuracy],
    ["macro-F1", metrics.f1_macro, ...metrics.interval.f1_macro],
  ] as const;
  return `---
library_name: transformers
pipeline_tag: text-classification
tags: [graft]
---

# ${result.run}

A BERT text classifier, fine-tuned from \`${
    basename(settings.model)
  }\` (mode \`${settings.mode}\`) with Graft.

Classes: ${dataset.labels.map((label) => `\`${label}\``).join(", ")}.

## Evaluation

On the ${metrics.n} texts of the ${metrics.split} file, with 95 % bootstrap intervals over distinct texts:

| | | from | to |
| --- | ---: | ---: | ---: |
${rows.map(([name, ...values]) => `| ${name} | ${values.map(figure).join(" | ")} |`).join("\n")}
| accuracy of the commonest class | ${figure(metrics.majority)} | | |

${leakage(result)}

## Training

${trainCount} texts for training, ${dataset.validation.length} for validation, ${dataset.test.length} for testing.
${result.steps} steps, the weights of epoch ${result.best_epoch} by validation accuracy; the settings are in
\`training_args.json\`, the course of the run in \`trainer_state.json\`.

## Use

\`\`\`python
from transformers import pipeline
print(pipeline("text-classification", model="FOLDER")("a text"))
\`\`\`

or \`deno task predict --model FOLDER "a text"\` with Graft.
`;
}

/** How many of the measured texts the model was trained on. */
function leakage({ metrics }: TrainResult): string {
  const { seen, unseen } = metrics;
  if (seen === null || unseen === null || seen.n === 0) {
    return "None of these texts stands in the training file.";
  }
  return `${seen.n} of these texts stand word for word in the training file. On the other ` +
    `${unseen.n} accuracy is ${unseen.accuracy.toFixed(3)}, macro-F1 ${
      unseen.f1_macro.toFixed(3)
    }.`;
}
