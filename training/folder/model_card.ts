/**
 * The `README.md` of a model's folder: the model, its training and its metrics.
 *
 * @module
 */
import { basename, extname, join, resolve } from "node:path";
import { z } from "zod";
import type { Dataset } from "../../data/dataset.ts";
import type { ProblemType } from "../../data/labels.ts";
import { leakageLine } from "../../data/preparation/leakage.ts";
import { DATASET_FILE } from "../../data/preparation/prepare.ts";
import { exists, readJson } from "../../lib/files.ts";
import { count } from "../../lib/format.ts";
import { BUNDLED_MODEL, scratchSizeOf } from "../../models/own_models.ts";
import { modelDir } from "../../models/hub.ts";
import { needsBase, tunerOf } from "../../models/tuners/tuner.ts";
import type { TrainResult } from "../events.ts";
import {
  type Compared,
  comparisonOf,
  decimals,
  describeMetrics,
  type Metric,
  METRIC_NAMES,
  metricEntries,
} from "../metrics.ts";
import type { TrainSettings } from "../settings.ts";
import { shortcomings } from "../shortcomings.ts";
import { KEPT_DATA_DIR } from "./training_args.ts";

/** The model that another was trained from. */
export interface CardBase {
  /** The name by which a hub or a person calls it. */
  name: string;
  /** The argument of `from_pretrained`: a name on the hub, or a folder. */
  source: string;
  /** The revision on the hub. */
  revision?: string | undefined;
  /** The license that its own card names, where it is known. */
  license?: string | undefined;
}

/** The content of a model card. */
export interface ModelCard {
  /** The name of the data set. */
  dataName: string;
  result: TrainResult;
  settings: TrainSettings;
  /** Whether an adapter has a pooler of its own. */
  ownsPooler?: boolean;
  /** Absent where the model began with random weights. */
  base?: CardBase | undefined;
  /** The data set, with the rows of its training file that the model was trained on. */
  dataset: Pick<Dataset, "labels" | "train" | "validation" | "test">;
  /** The number of parameters, with those that were only needed for training. */
  parameterCount: number;
  /** The number of them that were trained. */
  trainedCount: number;
  /** The size of the file of weights, in bytes. */
  size: number;
}

/** The most classes that a card names. */
const MAX_CLASSES = 20;

/** The names of metrics in the metadata of the Hugging Face hub, where they differ. */
const HUB_METRICS: Partial<Record<Metric, string>> = {
  f1_macro: "f1",
  f1_micro: "f1",
  pearson: "pearsonr",
  r2: "r_squared",
};

/**
 * Describes the base of a run for its card; `undefined` for random weights.
 *
 * @param model The model as the settings name it.
 */
export async function cardBase(model: string): Promise<CardBase | undefined> {
  if (scratchSizeOf(model) !== undefined) return undefined;
  const dir = await modelDir(model);
  const license = await licenseOf(dir);
  if (model === BUNDLED_MODEL) return { name: model, source: dir, license };
  if (await exists(model)) {
    return { name: basename(resolve(model)), source: resolve(model), license };
  }
  const [name, revision] = model.split("@");
  return { name: name!, source: name!, revision, license };
}

const Prepared = z.looseObject({ input: z.looseObject({ file: z.string() }) });

/**
 * The name of a run's data set for its card: that of the folder, or of the table that was split for
 * the run.
 *
 * @param dir The folder of the data.
 */
export async function cardDataName(dir: string): Promise<string> {
  const name = basename(resolve(dir));
  const record = join(dir, DATASET_FILE);
  if (name !== KEPT_DATA_DIR || !await exists(record)) return name;
  const { file } = (await readJson(record, Prepared)).input;
  return basename(file, extname(file));
}

/** The license that the card in a folder names. */
async function licenseOf(dir: string): Promise<string | undefined> {
  const file = join(dir, "README.md");
  if (!await exists(file)) return undefined;
  const [, metadata = ""] = /^---\r?\n([\s\S]*?)^---/m.exec(await Deno.readTextFile(file)) ?? [];
  return /^license:\s*([\w.+-]+)\s*$/m.exec(metadata)?.[1];
}

/** Writes the card in Markdown, with the metadata that the Hugging Face hub reads. */
export function modelCard(card: ModelCard): string {
  const { result, settings, base, dataset, parameterCount, trainedCount, size } = card;
  const { metrics } = result;
  const { problem_type } = metrics;
  const intervals = new Map(metricEntries(metrics.interval, problem_type));
  const rows = metricEntries(metrics, problem_type).map(([metric, value]) => {
    const figures = [value, ...intervals.get(metric)!].map(decimals);
    return `| ${METRIC_NAMES[metric]} | ${figures.join(" | ")} |`;
  });
  if (problem_type === "single_label_classification") {
    rows.push(`| accuracy of the commonest class | ${decimals(metrics.majority)} | | |`);
  }
  const { linear_baseline: linear, network_alone: alone } = result;
  if (alone !== null) {
    for (const [metric, value] of metricEntries(alone, problem_type)) {
      rows.push(`| ${METRIC_NAMES[metric]} of the network alone | ${decimals(value)} | | |`);
    }
  }
  if (linear !== null) {
    rows.push(`| accuracy of a linear model on TF-IDF | ${decimals(linear.accuracy)} | | |`);
  }
  return `---
${metadata(card)}
---

# ${result.run}

A ${
    problem_type === "regression"
      ? "model that gives a text a number"
      : "text classifier"
  }, fine-tuned from \`${basename(settings.model)}\` (mode \`${settings.mode}\`) with Graft.

${outputs(metrics, dataset.labels)}

## Evaluation

On the ${metrics.n} texts of the ${metrics.split} file, with 95 % bootstrap intervals over distinct texts:

| | | from | to |
| --- | ---: | ---: | ---: |
${rows.join("\n")}

${[leakage(result), ...shortcomings(metrics, linear)].join("\n")}

## Training

${dataset.train.length} texts for training, ${dataset.validation.length} for validation, ${dataset.test.length} for testing.
${leakageLine(dataset)}
${result.steps} steps, the weights of epoch ${result.best_epoch} by validation ${
    comparedName(comparisonOf({ problemType: problem_type, metric: settings.metric }).metric)
  }; the settings are in
\`training_args.json\`, the course of the run in \`trainer_state.json\`.

${count(trainedCount)} of ${count(parameterCount)} numbers were trained (${
    (100 * trainedCount / parameterCount).toLocaleString("en", { maximumSignificantDigits: 3 })
  } %), ${count(Math.round(result.tokens_per_second))} tokens a second on
${result.device}, evaluations included; the file of weights takes ${
    count(Math.ceil(size / 1000))
  } kB.

## Use

${base === undefined || !needsBase(settings.mode) ? wholeModel(problem_type) : adapter(card, base)}

With Graft: \`deno task --quiet predict --model FOLDER "a text"\`, where FOLDER is this one.
${longTextsNote(settings)}`;
}

/** A note on how Graft alone treats long texts, unless it only cuts them. */
function longTextsNote({ longTexts, maxLength }: TrainSettings): string {
  if (longTexts === "truncate") return "";
  const way = longTexts === "chunk"
    ? "in chunks, whose logits it joins"
    : "as a quarter from their start and the rest from their end";
  return `
Graft takes texts of more than ${maxLength} tokens ${way}; transformers sees only their start.
`;
}

/** The metadata of a card, which the Hugging Face hub reads. */
function metadata({ dataName, result, settings, base }: ModelCard): string {
  const { metrics, run } = result;
  const figures = metricEntries(metrics, metrics.problem_type).map(([metric, value]) => ({
    type: HUB_METRICS[metric] ?? metric,
    name: METRIC_NAMES[metric],
    value: Number(value.toPrecision(6)),
  }));
  const entries = {
    library_name: needsBase(settings.mode) ? "peft" : "transformers",
    pipeline_tag: "text-classification",
    tags: ["graft"],
    license: settings.license ?? base?.license ?? "unknown",
    ...base !== undefined && { base_model: base.name },
    datasets: [dataName],
    metrics: [...new Set(figures.map(({ type }) => type))],
    "model-index": [{
      name: run,
      results: [{
        task: { type: "text-classification", name: "Text Classification" },
        dataset: { name: dataName, type: dataName, split: metrics.split },
        metrics: figures,
      }],
    }],
  };
  return metadataLines(entries);
}

/** Writes entries as lines of YAML. JSON is YAML, too, and keeps any name whole. */
export function metadataLines(entries: Readonly<Record<string, unknown>>): string {
  return Object.entries(entries).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join("\n");
}

function comparedName(compared: Compared): string {
  return compared === "loss" ? compared : METRIC_NAMES[compared];
}

/** Tells how to use a whole model in Python. */
function wholeModel(problemType: ProblemType): string {
  const all = problemType === "multi_label_classification" ? ", top_k=None" : "";
  return `In this folder, with transformers:

\`\`\`python
from transformers import pipeline

classify = pipeline("text-classification", model=".", truncation=True${all})
print(classify("a text"))
\`\`\``;
}

/** Describes an adapter, and how to use it in Python. */
function adapter({ settings, result, ownsPooler = false }: ModelCard, base: CardBase): string {
  const { mode, model } = settings;
  const method = tunerOf(mode).method!;
  const place = model === BUNDLED_MODEL
    ? "comes with Graft, in its folder `models/bundled`"
    : base.source === base.name
    ? `is \`${model}\` on the Hugging Face hub`
    : `was the folder \`${base.source}\``;
  const revision = base.revision === undefined ? "" : `, revision=${JSON.stringify(base.revision)}`;
  return `This folder holds only what was trained: the head${
    ownsPooler ? ", the pooler" : ""
  } and ${method.describe(settings)},
with the tokenizer of the base. It needs the base, which ${place},
with the same weights: elsewhere, set \`BASE\` to its path. Many such models can share one
base in memory, and one batch. For a single model where accuracy matters most, try \`--mode full\`
first, which trains every weight.

In this folder, with PEFT and transformers (${method.peftVersions}):

\`\`\`python
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

BASE = ${JSON.stringify(base.source)}
config = AutoConfig.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
base = AutoModelForSequenceClassification.from_pretrained(BASE, config=config${revision})
model = PeftModel.from_pretrained(base, ".").eval()
inputs = tokenizer(["a text"], truncation=True, padding=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
${answers(result.metrics.problem_type)}
\`\`\``;
}

/** The lines of Python that say what logits mean. */
function answers(problemType: ProblemType): string {
  switch (problemType) {
    case "single_label_classification":
      return `for row in logits.softmax(-1):
    print(config.id2label[row.argmax().item()], row.max().item())`;
    case "multi_label_classification":
      return `for row in logits.sigmoid():
    print({config.id2label[i]: score for i, score in enumerate(row.tolist())})`;
    case "regression":
      return "print(logits.squeeze(-1).tolist())";
  }
}

/** Describes the outputs of the model. */
function outputs(metrics: TrainResult["metrics"], labels: readonly string[]): string {
  const first = labels.slice(0, MAX_CLASSES).map((label) => `\`${label}\``).join(", ");
  const names = labels.length > MAX_CLASSES
    ? `${first}, … (${count(labels.length)} in all)`
    : first;
  switch (metrics.problem_type) {
    case "single_label_classification":
      return `Classes: ${names}.`;
    case "multi_label_classification":
      return `A text gets every class that scores ${metrics.threshold} or more: ${names}.`;
    case "regression":
      return `The score of ${names} is the number.`;
  }
}

/** Tells how many of the measured texts the model was trained on. */
function leakage({ metrics }: TrainResult): string {
  const { seen, unseen } = metrics;
  if (seen === null || unseen === null || seen.n === 0) {
    return "None of these texts occurs in the training file.";
  }
  return `${seen.n} of these texts occur word for word in the training file. On the other ` +
    `${unseen.n}: ${describeMetrics(unseen, metrics.problem_type, decimals)}.`;
}
