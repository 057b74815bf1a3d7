/**
 * `pretrain`: pretrains a BERT, from random weights or a model.
 *
 * @module
 */
import { Command } from "commander";
import { basename, join } from "node:path";
import { UserError } from "../lib/user_error.ts";
import { readUnfinishedPretraining } from "../training/pretraining/args.ts";
import { pretrain } from "../training/pretraining/pretrain.ts";
import { PretrainSettings } from "../training/pretraining/settings.ts";
import { resumedSettings } from "../training/folder/training_args.ts";
import { quoted } from "./quoted.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";
import { showTraining } from "./training_run.ts";

interface Options extends Record<string, unknown> {
  texts?: string[];
  out?: string;
  overwrite?: boolean;
  resume?: boolean;
  json?: boolean;
}

/** The default folder of bases. */
const BASES_DIR = "bases";

/** The command and its options. */
export function pretrainCommand(): Command {
  const command = new Command("pretrain")
    .description(
      "Pretrain a BERT on texts without labels: it guesses masked words, and gives texts the " +
        "embeddings of a teacher if there is one",
    )
    .option("--texts <files...>", "Files of plain text, one text a line")
    .option("--out <dir>", "Folder for the model; default: bases/<model>-pretrained")
    .option("--overwrite", "Replace what the folder holds")
    .option("--resume", "Go on with the run in the folder, with its settings");
  addSettingsOptions(command, PretrainSettings);
  return command
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { outDir, settings, texts } = await runOf(options, command);
  const resume = `deno task --quiet pretrain --resume --out ${quoted(outDir)}`;
  const result = await showTraining(command, resume, (watch) =>
    pretrain({
      settings,
      texts,
      outDir,
      overwrite: options.overwrite ?? false,
      resume: options.resume ?? false,
      ...watch,
    }));
  if (options.json) {
    console.log(JSON.stringify(result));
    return;
  }
  console.log(`
The model is in ${outDir}. Try next:
  deno task --quiet train --model ${quoted(outDir)} --data YOUR_FOLDER`);
}

async function runOf(options: Options, command: Command) {
  if (options.resume !== true) {
    const settings = parseSettings(PretrainSettings, options);
    if (options.texts === undefined) throw new UserError("Cannot pretrain without --texts FILES");
    const name = basename(settings.model).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
    const outDir = options.out ?? join(BASES_DIR, `${name}-pretrained`);
    return { outDir, settings, texts: options.texts };
  }
  if (options.out === undefined) throw new UserError("Cannot use --resume without --out DIR");
  if (options.texts !== undefined || options.overwrite === true) {
    throw new UserError("Cannot use --resume with --texts or --overwrite: a run keeps what it has");
  }
  const args = await readUnfinishedPretraining(options.out);
  const given = Object.entries(parseSettings(PretrainSettings, options))
    .filter(([key]) => command.getOptionValueSource(key) === "cli");
  const settings = await resumedSettings(options.out, args.settings, Object.fromEntries(given));
  return { outDir: options.out, settings, texts: args.texts };
}
