/**
 * `data`: prepares, audits and fetches data sets.
 *
 * @module
 */
import Table from "cli-table3";
import { Command } from "commander";
import { prepare, type PreparedDataset } from "../data/prepare.ts";
import { PrepareSettings } from "../data/prepare_settings.ts";
import { SIDES } from "../data/split.ts";
import { UserError } from "../data/user_error.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";

/** The command and its subcommands. */
export function dataCommand(): Command {
  return new Command("data")
    .description("Prepare, audit and fetch data sets")
    .addCommand(prepareCommand());
}

interface PrepareOptions extends Record<string, unknown> {
  out: string;
  overwrite?: boolean;
  json?: boolean;
}

function prepareCommand(): Command {
  const command = new Command("prepare")
    .description(
      "Make a data set from a raw CSV, TSV or JSON Lines file. Without --text and --label it is " +
        "read as the export of YouTube's trending videos, USvideos.csv",
    )
    .argument("<raw>", "The raw file")
    .requiredOption("--out <dir>", "Folder for the data set")
    .option("--overwrite", "Replace the data set that the folder holds");
  addSettingsOptions(command, PrepareSettings);
  return command
    .option("--json", "Print what was done as JSON on standard output")
    .action(runPrepare);
}

async function runPrepare(raw: string, options: PrepareOptions): Promise<void> {
  const settings = parseSettings(PrepareSettings, options);
  const { out: outDir, overwrite = false, json = false } = options;
  const dataset = await untilInterrupted((signal) =>
    prepare(raw, { settings, outDir, overwrite, signal })
  );
  console.log(json ? JSON.stringify(dataset) : formatPrepared(dataset, outDir));
}

/** Does some work that Ctrl+C stops in order. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new UserError("Interrupted: nothing was written"));
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  try {
    return await work(controller.signal);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", interrupt);
  }
}

function formatPrepared({ input, counts, classes, files }: PreparedDataset, dir: string): string {
  const count = (value: number) => value.toLocaleString("en");
  const table = new Table({
    head: ["class", ...SIDES, "raw labels"],
    colAligns: ["left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const { label, name, raw } of classes) {
    table.push([
      label === name ? name : `${label} ${name}`,
      ...SIDES.map((side) => count(files[side].classes[label] ?? 0)),
      raw.length > 6 ? `${raw.slice(0, 6).join(", ")}, … (${raw.length})` : raw.join(", "),
    ]);
  }
  table.push(["all", ...SIDES.map((side) => count(files[side].rows)), ""]);
  const dropped = counts.train_before_balance - files.train.rows;
  return [
    `${input.file}: ${count(counts.read)} rows, ${count(counts.kept)} with a text, ` +
    `${count(counts.distinct_texts)} distinct texts`,
    ...dropped > 0 ? [`${count(dropped)} training rows left out to balance the classes`] : [],
    "",
    `${table}`,
    "",
    `The data set is in ${dir}. Try next:`,
    `  deno task data audit ${dir}`,
    `  deno task train --mode full --data ${dir}`,
  ].join("\n");
}
