/**
 * `train`: fine-tunes a classifier.
 *
 * @module
 */
import { Command } from "commander";
import { dirname, relative, resolve } from "node:path";
import { type Dataset, SAMPLE_DIR } from "../data/dataset.ts";
import { UserError } from "../lib/user_error.ts";
import { readConfig, tuningDefaults } from "../models/family.ts";
import { needsBase } from "../models/tuners/tuner.ts";
import { newRunDir, readUnfinishedRun, RUNS_DIR } from "../training/folder/run_folder.ts";
import { lastUnfinishedRun } from "../training/folder/run_list.ts";
import { TrainSettings, withModelDefaults } from "../training/settings.ts";
import { checkBeforeData, train } from "../training/train.ts";
import { resumedSettings } from "../training/folder/training_args.ts";
import { readTrainingData } from "../training/folder/training_data.ts";
import type { TrainResult } from "../training/events.ts";
import { shortcomings } from "../training/shortcomings.ts";
import { printNote } from "./note.ts";
import { problemFlag, quoted } from "./quoted.ts";
import { formatReport } from "./report.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";
import { addColumnOptions, type ColumnOptions, columnsOf } from "./table_options.ts";
import { showTraining } from "./training_run.ts";

interface Options extends Record<string, unknown>, ColumnOptions {
  skipBadRows?: boolean;
  data?: string;
  out?: string;
  overwrite?: boolean;
  resume?: boolean;
  json?: boolean;
}

/** The command and its options. */
export function trainCommand(): Command {
  const command = new Command("train")
    .description(
      "Fine-tune a BERT classifier on texts and labels in CSV, TSV or JSON Lines: one table, which " +
        "is split, or a folder of files",
    )
    .option(
      "--data <path>",
      "A table; or a folder with one; or one with train_simple.csv, val_simple.csv and " +
        "test_simple.csv, or train.csv and, if they are there, validation.csv and test.csv; " +
        "default: the sample",
    )
    .option("--out <dir>", "Folder for the trained model; default: runs/<date>-<mode>-<model>")
    .option("--overwrite", "Replace what the folder holds")
    .option(
      "--resume",
      "Go on with the run in the folder, or with the last unfinished one in runs/",
    );
  addColumnOptions(command);
  command.option("--skip-bad-rows", "Leave out the bad rows of a table that is split");
  addSettingsOptions(command, TrainSettings);
  return command
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { outDir, dataDir, ...run } = options.resume === true
    ? await runToResume(options, command)
    : newRun(options);
  await checkBeforeData(run.settings, {
    outDir,
    overwrite: options.overwrite ?? false,
    resume: options.resume ?? false,
  });
  await using data = await readTrainingData(dataDir, {
    settings: run.settings,
    outDir,
    columns: columnsOf({ ...options, columnMapping: run.settings.columnMapping }),
    skipBadRows: options.skipBadRows ?? false,
    onNote: printNote,
  });
  const { dataset, settings, keepData } = data;
  const resume = `deno task --quiet train --resume --out ${quoted(outDir)}`;
  const result = await showTraining(command, resume, ({ onEvent, signal }) =>
    train(dataset, {
      settings,
      outDir,
      overwrite: options.overwrite ?? false,
      resume: options.resume ?? false,
      keepData,
      onEvent(event) {
        if (event.type === "start") console.error(howToWatch(outDir));
        onEvent(event);
      },
      signal,
    }));
  if (options.json) {
    console.log(JSON.stringify(result));
    return;
  }
  const { metrics, linear_baseline: linear } = result;
  console.log(`\n${formatReport(metrics, `The ${metrics.split} file`, result)}`);
  if (shortcomings(metrics, linear).length > 0) {
    console.log(await advice(settings, result, dataset));
  } else if (metrics.problem_type === "single_label_classification" && linear === null) {
    console.log(
      "No linear model was trained beside it, as the texts and classes are many; this trains one:\n" +
        `  ${auditCommand(settings, dataset)}`,
    );
  }
  console.log(nextSteps(result, dataset));
}

/** Advice for a weak model. */
async function advice(
  settings: TrainSettings,
  { model_dir, epochs }: TrainResult,
  dataset: Dataset,
): Promise<string> {
  const defaults = tuningDefaults(await readConfig(model_dir));
  const { learningRate, maxSteps, mode } = withModelDefaults(settings, { defaults });
  const tries = [
    maxSteps === undefined ? `more than ${epochs} --epochs` : `more than ${maxSteps} --max-steps`,
    `another --learning-rate than ${learningRate}, which deno task tune looks for`,
    needsBase(mode) ? "--mode full" : "a larger pretrained base with --model",
  ];
  return `Try ${tries.join(", ")}.
This shows how well the texts predict the labels, and what is wrong with the data:
  ${auditCommand(settings, dataset)}`;
}

/** The command that measures what can be learned of a data set. */
function auditCommand({ problemType }: TrainSettings, { dir }: Dataset): string {
  return `deno task --quiet data audit ${quoted(nearPath(dir))}${problemFlag(problemType)}`;
}

/** The shorter path of a folder: relative or absolute. */
function nearPath(dir: string): string {
  const path = relative(Deno.cwd(), dir);
  return path.startsWith("..") ? dir : path;
}

/** The most characters of a text in a command. */
const MAX_TEXT = 50;

/** Commands for a newly trained model, on a text that it has not seen. */
function nextSteps({ run, model_dir, metrics }: TrainResult, dataset: Dataset): string {
  const dir = quoted(nearPath(model_dir));
  const { text, label } = dataset[metrics.split][0]!;
  const words = text.replaceAll(/\s+/g, " ").trim();
  const start = words.length > MAX_TEXT ? words.slice(0, MAX_TEXT).replace(/ [^ ]*$/, "") : words;
  // The server only finds models in its own folder.
  const serves = dirname(resolve(model_dir)) === resolve(RUNS_DIR);
  const request = JSON.stringify({ model: run, inputs: [start] });
  return [
    `\nThe model is in ${dir}. Try next, on a text with the label '${label}':`,
    `  deno task --quiet predict --model ${dir} ${quoted(start)}`,
    `  deno task --quiet eval --model ${dir} --predictions predict.csv`,
    ...serves
      ? [
        "  deno task --quiet serve   # http://127.0.0.1:8000 in a browser tries texts and watches runs",
        `  curl -d ${quoted(request)} localhost:8000/v1/predict`,
      ]
      : [],
  ].join("\n");
}

/** The way to watch a run in a browser. */
function howToWatch(outDir: string): string {
  const runsDir = nearPath(dirname(resolve(outDir)));
  const runs = runsDir === RUNS_DIR ? "" : ` --runs ${quoted(runsDir === "" ? "." : runsDir)}`;
  return `To watch it in a browser: deno task --quiet serve${runs}`;
}

interface RunToTrain {
  outDir: string;
  settings: TrainSettings;
  dataDir: string;
}

function newRun(options: Options): RunToTrain {
  const settings = parseSettings(TrainSettings, options);
  return {
    outDir: options.out ?? newRunDir(settings),
    settings,
    dataDir: options.data ?? SAMPLE_DIR,
  };
}

async function runToResume(options: Options, command: Command): Promise<RunToTrain> {
  if (options.overwrite === true) {
    throw new UserError("Cannot use --resume with --overwrite: one keeps what the other replaces");
  }
  const outDir = options.out ?? await lastUnfinishedRun();
  const args = await readUnfinishedRun(outDir);
  const given = Object.entries(parseSettings(TrainSettings, options))
    .filter(([key]) => command.getOptionValueSource(key) === "cli");
  const settings = await resumedSettings(outDir, args.settings, Object.fromEntries(given));
  // Data that has moved is recognised by its content.
  return { outDir, settings, dataDir: options.data ?? args.dataDir };
}
