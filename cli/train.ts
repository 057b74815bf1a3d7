/**
 * `train`: fine-tunes a classifier.
 *
 * @module
 */
import { Command } from "commander";
import { relative } from "node:path";
import { parseColumnMapping } from "../data/columns.ts";
import { readDataset, SAMPLE_DIR } from "../data/dataset.ts";
import { UserError } from "../lib/user_error.ts";
import { lastUnfinishedRun, newRunDir, readUnfinishedRun } from "../training/folder/run_folder.ts";
import { TrainSettings } from "../training/settings.ts";
import { train } from "../training/train.ts";
import { resumedSettings } from "../training/folder/training_args.ts";
import { quoted } from "./quoted.ts";
import { formatReport } from "./report.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";
import { showTraining } from "./training_run.ts";

interface Options extends Record<string, unknown> {
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
      "Fine-tune a BERT classifier on a folder of CSV, TSV or JSON Lines files with columns text,label",
    )
    .option(
      "--data <dir>",
      "Folder with train_simple.csv, val_simple.csv and test_simple.csv; default: the sample",
    )
    .option("--out <dir>", "Folder for the trained model; default: runs/<date>-<mode>-<model>")
    .option("--overwrite", "Replace what the folder holds")
    .option(
      "--resume",
      "Go on with the run in the folder, or with the last unfinished one in runs/",
    );
  addSettingsOptions(command, TrainSettings);
  return command
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { outDir, settings, dataDir } = options.resume === true
    ? await runToResume(options, command)
    : newRun(options);
  const columns = parseColumnMapping(settings.columnMapping);
  const dataset = await readDataset(dataDir, settings.problemType, columns);
  const resume = `deno task train --resume --out ${quoted(outDir)}`;
  const result = await showTraining(command, resume, (watch) =>
    train(dataset, {
      settings,
      outDir,
      overwrite: options.overwrite ?? false,
      resume: options.resume ?? false,
      ...watch,
    }));
  if (options.json) {
    console.log(JSON.stringify(result));
    return;
  }
  console.log(`\n${formatReport(result.metrics, `The ${result.metrics.split} file`)}`);
  const modelFlag = options.out === undefined ? "" : ` --model ${quoted(options.out)}`;
  console.log(`
The model is in ${relative(Deno.cwd(), result.model_dir)}. Try next:
  deno task predict${modelFlag} "How to bake sourdough bread"
  deno task eval${modelFlag} --predictions predict.csv
  deno task serve
  deno task train --mode ${settings.mode} --model ${settings.model} --data YOUR_FOLDER`);
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
  // Data that have moved are known by their content.
  return { outDir, settings, dataDir: options.data ?? args.dataDir };
}
