/**
 * `train`: fine-tunes a classifier.
 *
 * @module
 */
import { Command } from "commander";
import { relative } from "node:path";
import { readDataset, SAMPLE_DIR } from "../data/dataset.ts";
import { newRunDir } from "../training/run_folder.ts";
import { TrainSettings } from "../training/settings.ts";
import { train } from "../training/train.ts";
import { TrainProgress } from "./progress.ts";
import { formatReport } from "./report.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";

interface Options extends Record<string, unknown> {
  data?: string;
  out?: string;
  overwrite?: boolean;
  json?: boolean;
}

/** The command and its options. */
export function trainCommand(): Command {
  const command = new Command("train")
    .description("Fine-tune a BERT classifier on a folder of CSV files with columns text,label")
    .option(
      "--data <dir>",
      "Folder with train_simple.csv, val_simple.csv and test_simple.csv; default: the sample",
    )
    .option("--out <dir>", "Folder for the trained model; default: runs/<date>-<mode>-<model>")
    .option("--overwrite", "Replace what the folder holds");
  addSettingsOptions(command, TrainSettings);
  return command
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const settings = parseSettings(TrainSettings, options);
  const dataset = await readDataset(options.data ?? SAMPLE_DIR, settings.problemType);
  const { out, overwrite = false } = options;
  const outDir = out ?? newRunDir(settings);

  const progress = new TrainProgress();
  let result;
  try {
    result = await train(dataset, {
      settings,
      outDir,
      overwrite,
      onEvent: (event) => progress.show(event),
    });
  } finally {
    progress.stop();
  }
  if (options.json) {
    console.log(JSON.stringify(result));
    return;
  }
  console.log(`\n${formatReport(result.metrics, `The ${result.metrics.split} file`)}`);
  const modelFlag = out === undefined ? "" : ` --model ${out}`;
  console.log(`
The model is in ${relative(Deno.cwd(), result.model_dir)}. Try next:
  deno task predict${modelFlag} "How to bake sourdough bread"
  deno task eval${modelFlag} --predictions predict.csv
  deno task serve
  deno task train --mode full --data YOUR_FOLDER`);
}
