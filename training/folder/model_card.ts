/**
 * The `README.md` of a model's folder: what it is, what it was trained on, what it is worth.
 *
 * @module
 */
import { basename } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import type { ProblemType } from "../../data/labels.ts";
import { leakageLine } from "../../data/preparation/leakage.ts";
import type { TrainResult } from "../events.ts";
import { BEST_METRIC, decimals, describeMetrics, METRIC_NAMES, metricEntries } from "../metrics.ts";
import type { TrainSettings } from "../settings.ts";

/** What a model card tells of. */
export interface ModelCard {
  result: TrainResult;
  settings: TrainSettings;
  dataset: Pick<Dataset, "labels" | "train" | "validation" | "test">;
  /** How many numbers the model has, with those that were only needed for training. */
  parameterCount: number;
  /** How many of them were trained. */
  trainedCount: number;
  /** Of the file of weights, in bytes. */
  size: number;
}

/** The card in Markdown, with the metadata that the Hugging Face hub reads. */
export function modelCard(card: ModelCard): string {
  const { result, settings, dataset, parameterCount, trainedCount, size } = card;
  const { metrics } = result;
  const train = dataset.train.slice(0, settings.maxTrainSamples);
  const { problem_type } = metrics;
  const intervals = new Map(metricEntries(metrics.interval, problem_type));
  const rows = metricEntries(metrics, problem_type).map(([metric, value]) => {
    const figures = [value, ...intervals.get(metric)!].map(decimals);
    return `| ${METRIC_NAMES[metric]} | ${figures.join(" | ")} |`;
  });
  if (problem_type === "single_label_classification") {
    rows.push(`| accuracy of the commonest class | ${decimals(metrics.majority)} | | |`);
  }
  return `---
library_name: ${settings.mode === "full" ? "transformers" : "peft"}
pipeline_tag: text-classification
tags: [graft]
---

# ${result.run}

A BERT ${
    problem_type === "regression" ? "that gives a text a number" : "text classifier"
  }, fine-tuned from \`${basename(settings.model)}\` (mode \`${settings.mode}\`) with Graft.

${outputs(metrics, dataset.labels)}

## Evaluation

On the ${metrics.n} texts of the ${metrics.split} file, with 95 % bootstrap intervals over distinct texts:

| | | from | to |
| --- | ---: | ---: | ---: |
${rows.join("\n")}

${leakage(result)}

## Training

${train.length} texts for training, ${dataset.validation.length} for validation, ${dataset.test.length} for testing.
${leakageLine({ ...dataset, train })}
${result.steps} steps, the weights of epoch ${result.best_epoch} by validation ${
    METRIC_NAMES[BEST_METRIC[problem_type].metric]
  }; the settings are in
\`training_args.json\`, the course of the run in \`trainer_state.json\`.

${number(trainedCount)} of ${number(parameterCount)} numbers were trained (${
    percent(trainedCount / parameterCount)
  }), ${number(Math.round(result.tokens_per_second))} tokens a second on
${result.device}, evaluations included; the file of weights takes ${
    number(Math.ceil(size / 1000))
  } kB.

## Use

${settings.mode === "full" ? wholeModel(problem_type) : adapter(settings)}

or \`deno task predict --model FOLDER "a text"\` with Graft.
`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function percent(share: number): string {
  return `${(100 * share).toLocaleString("en", { maximumSignificantDigits: 3 })} %`;
}

/** How to use a whole model in Python. */
function wholeModel(problemType: ProblemType): string {
  return `\`\`\`python
from transformers import pipeline
print(pipeline("text-classification", model="FOLDER"${
    problemType === "multi_label_classification" ? ", top_k=None" : ""
  })("a text"))
\`\`\``;
}

/** What an adapter is, and how to use it in Python. */
function adapter({ mode, prefixLength }: TrainSettings): string {
  const what = mode === "prefix" ? "keys and values for every layer" : "embeddings at the input";
  return `This folder holds what was trained alone: the head and ${prefixLength} virtual tokens (${what}).
It needs the base that \`adapter_config.json\` names, with the same weights; many such models can share
one base in memory, and one batch. Where a model stands alone and accuracy is all that counts,
training every weight (\`--mode full\`) is the first thing to try.

\`\`\`python
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification
config = AutoConfig.from_pretrained("FOLDER")
base = AutoModelForSequenceClassification.from_pretrained("BASE", config=config)
model = PeftModel.from_pretrained(base, "FOLDER")
\`\`\``;
}

/** What the model tells of a text. */
function outputs(metrics: TrainResult["metrics"], labels: readonly string[]): string {
  const names = labels.map((label) => `\`${label}\``).join(", ");
  switch (metrics.problem_type) {
    case "single_label_classification":
      return `Classes: ${names}.`;
    case "multi_label_classification":
      return `Classes, of which a text has those that score ${metrics.threshold} or more: ${names}.`;
    case "regression":
      return `The score of ${names} is the number.`;
  }
}

/** How many of the measured texts the model was trained on. */
function leakage({ metrics }: TrainResult): string {
  const { seen, unseen } = metrics;
  if (seen === null || unseen === null || seen.n === 0) {
    return "None of these texts stands in the training file.";
  }
  return `${seen.n} of these texts stand word for word in the training file. On the other ` +
    `${unseen.n}: ${describeMetrics(unseen, metrics.problem_type, decimals)}.`;
}
