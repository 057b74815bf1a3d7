/**
 * `tune`: searches for the settings that suit a data set.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { join, resolve } from "node:path";
import { SAMPLE_DIR } from "../data/dataset.ts";
import Table from "cli-table3";
import { UserError } from "../lib/user_error.ts";
import { newRunDir } from "../training/folder/run_folder.ts";
import { readTrainingData } from "../training/folder/training_data.ts";
import { decimals } from "../training/metrics.ts";
import { TrainSettings } from "../training/settings.ts";
import {
  BEST_DIR,
  newSearch,
  readSearch,
  type Search,
  tune,
  TUNE_PICTURE,
} from "../training/tune.ts";
import { trialComparison } from "../training/trials.ts";
import { printNote } from "./note.ts";
import { parseCount } from "./parse_count.ts";
import { quoted } from "./quoted.ts";
import { formatReport } from "./report.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";
import { addColumnOptions, type ColumnOptions, columnsOf } from "./table_options.ts";
import { showTraining } from "./training_run.ts";

interface Options extends Record<string, unknown>, ColumnOptions {
  data?: string;
  out?: string;
  trials: number;
  minutes?: number;
  resume?: boolean;
  json?: boolean;
}

/** The command and its options. */
export function tuneCommand(): Command {
  const command = new Command("tune")
    .description(
      "Look for the learning rate, epochs and other settings of the mode that suit a data set, by " +
        "validation alone, and train once more with the best. Settings that you give stay as they are",
    )
    .option("--data <path>", "As train takes it; default: the sample")
    .option("--out <dir>", "Folder for the search; default: runs/<date>-<mode>-<model>-tune")
    .option(
      "--trials <number>",
      "Settings to try, the defaults among them",
      parseCount,
      8,
    )
    .option("--minutes <number>", "Begin no trial that would end later", parseMinutes)
    .option("--resume", "Go on with the search in --out");
  addColumnOptions(command);
  addSettingsOptions(command, TrainSettings);
  return command
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const given = parseSettings(TrainSettings, options);
  const outDir = options.out ?? `${newRunDir(given)}-tune`;
  const stored = await readSearch(outDir);
  if (options.resume === true && stored === undefined) {
    throw new UserError(`Cannot resume '${outDir}': there is no search`);
  }
  if (options.resume !== true && stored !== undefined) {
    throw new UserError(`Cannot write to '${outDir}': there is a search; --resume goes on with it`);
  }
  await using data = await readTrainingData(stored?.data ?? options.data ?? SAMPLE_DIR, {
    settings: stored?.settings ?? given,
    outDir,
    columns: columnsOf({
      ...options,
      columnMapping: stored?.settings.columnMapping ?? given.columnMapping,
    }),
    onNote: printNote,
  });
  const { trials: count, minutes } = options;
  const search = stored ?? await newSearch(data.settings, resolve(data.dataset.dir), {
    count,
    minutes,
    size: { examples: data.dataset.train.length, labels: data.dataset.labels.length },
    chosen: TrainSettings.keyof().options.filter((key) =>
      command.getOptionValueSource(key) === "cli"
    ),
  });
  // A table has been split; a resumed search must use the same parts.
  await Deno.mkdir(outDir, { recursive: true });
  if (stored === undefined) await data.keepData();
  const { metric } = trialComparison(search.settings);
  const resume = `deno task --quiet tune --resume --out ${quoted(outDir)}`;
  const { best, result, search: found } = await showTraining(
    command,
    resume,
    (watch) =>
      tune(data.dataset, {
        outDir,
        search,
        ...watch,
        onTrial: ({ trials }, trial, share, result) => {
          const { learningRate, epochs } = trials[trial]!;
          console.error(
            result === undefined
              ? `Trial ${trial + 1} of ${trials.length}, ${100 * share} % of the steps: ` +
                `--learning-rate ${learningRate} --epochs ${epochs}`
              : `  validation ${metric} ${decimals(result.value)} in ${
                Math.round(result.seconds)
              } s`,
          );
        },
      }),
  );
  if (options.json === true) {
    console.log(JSON.stringify({ ...found, best, result }));
    return;
  }
  console.log(`\n${trialTable(found)}\n`);
  console.log(
    found.results.every(({ trial }) => trial === 0)
      ? "The defaults stand: no other settings were tried."
      : best === 0
      ? "The defaults stand: no other settings did better on validation by more than chance may."
      : `Trial ${best + 1} did best on validation.`,
  );
  console.log(`The picture is ${join(outDir, TUNE_PICTURE)}, the model ${join(outDir, BEST_DIR)}.`);
  console.log(`\n${formatReport(result.metrics, `The ${result.metrics.split} file`, result)}`);
}

/** All trials, with their values by share of steps. */
function trialTable({ settings, trials, results }: Search): string {
  const { metric } = trialComparison(settings);
  const shares = [...new Set(results.map(({ share }) => share))].sort((a, b) => a - b);
  const sized = trials.some(({ loraRank, prefixLength }) => loraRank ?? prefixLength);
  const table = new Table({
    head: [
      "trial",
      "rate",
      "epochs",
      ...sized ? [settings.mode === "lora" ? "rank" : "length"] : [],
      ...shares.map((share) => `${metric} at ${100 * share} %`),
    ],
    style: { head: [], border: [], compact: true },
  });
  for (const [trial, { learningRate, epochs, loraRank, prefixLength }] of trials.entries()) {
    const values = shares.map((share) => {
      const result = results.find((done) => done.trial === trial && done.share === share);
      return result === undefined ? "" : decimals(result.value);
    });
    const size = loraRank ?? prefixLength ?? "default";
    table.push([
      trial === 0 ? "1, defaults" : trial + 1,
      learningRate,
      epochs,
      ...sized ? [size] : [],
      ...values,
    ]);
  }
  return `${table}`;
}

function parseMinutes(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError("It must be a number above 0.");
}
