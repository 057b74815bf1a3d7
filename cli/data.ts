/**
 * `data`: prepares, audits and fetches data sets.
 *
 * @module
 */
import cliProgress from "cli-progress";
import Table from "cli-table3";
import { Command } from "commander";
import { join } from "node:path";
import { z } from "zod";
import { audit } from "../data/preparation/audit.ts";
import {
  fetchFiles,
  type KnownFile,
  PUBLISHED_FILES,
  PUBLISHED_URL,
} from "../data/preparation/fetch.ts";
import { writeFileAtomically } from "../lib/files.ts";
import { PROBLEM_TYPES, type ProblemType } from "../data/labels.ts";
import { prepare, type PreparedDataset } from "../data/preparation/prepare.ts";
import { PREPARE_SETTINGS } from "../data/preparation/prepare_settings.ts";
import { SAMPLE_DIR } from "../data/dataset.ts";
import { SIDES } from "../data/preparation/split.ts";
import { count } from "../lib/format.ts";
import { readTokenizer } from "../models/formats/classifier_folder.ts";
import { readConfig } from "../models/family.ts";
import { BUNDLED_MODEL } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import { Tokenizer, unknownShare } from "../models/text/tokenizer.ts";
import { scratchWordPieces } from "../models/scratch.ts";
import { TrainSettings } from "../training/settings.ts";
import { formatAudit } from "./audit_report.ts";
import { choiceOption } from "./choices.ts";
import { printNote } from "./note.ts";
import { problemFlag, quoted } from "./quoted.ts";
import { Interruption } from "./interruption.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";
import { addTableOptions, type ColumnOptions, columnsOf, formatOf } from "./table_options.ts";

/** The most classes in a table. */
const MAX_CLASSES = 30;

/** The command and its subcommands. */
export function dataCommand(): Command {
  return new Command("data")
    .description("Prepare, audit and fetch data sets")
    .addCommand(prepareCommand())
    .addCommand(auditCommand())
    .addCommand(fetchCommand());
}

interface PrepareCommandOptions extends Record<string, unknown> {
  out: string;
  overwrite?: boolean;
  json?: boolean;
}

function prepareCommand(): Command {
  const command = new Command("prepare")
    .description(
      "Make a data set from a raw CSV, TSV or JSON Lines file. The export of YouTube's trending " +
        "videos, USvideos.csv, is treated as in its published notebook where neither --text nor " +
        "--label is given",
    )
    .argument("<raw>", "The raw file")
    .requiredOption("--out <dir>", "Folder for the data set")
    .option("--overwrite", "Replace the data set that the folder holds");
  addSettingsOptions(command, PREPARE_SETTINGS);
  return command
    .option("--json", "Print what was done as JSON on standard output")
    .action(runPrepare);
}

async function runPrepare(
  raw: string,
  options: PrepareCommandOptions,
  command: Command,
): Promise<void> {
  const settings = parseSettings(PREPARE_SETTINGS, options);
  const { out: outDir, overwrite = false, json = false } = options;
  using interruption = new Interruption("Stopping");
  const { signal } = interruption;
  try {
    const dataset = await prepare(raw, { settings, outDir, overwrite, signal, onNote: printNote });
    console.log(
      json ? JSON.stringify(dataset) : formatPrepared(dataset, outDir, settings.problemType),
    );
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    command.error(`Stopped: nothing was written to '${outDir}'`, {
      exitCode: interruption.exitCode,
    });
  }
}

interface AuditCommandOptions extends Record<string, unknown>, ColumnOptions {
  model?: string;
  html?: string;
  problemType: ProblemType;
  json?: boolean;
}

/** The setting as in `train`, so that the audit shows its effect. */
const AuditSettings = z.object({ maxLength: TrainSettings.shape.maxLength });

function auditCommand(): Command {
  const command = new Command("audit")
    .description(
      "Show the faults of a data set: leakage, duplicates, conflicts, classes, baselines",
    )
    .argument(
      "<dir>",
      "Folder with train_simple.csv, val_simple.csv and test_simple.csv, or train.csv and so on",
    )
    .option(
      "--model <dir>",
      "Folder of the model whose word pieces are counted; default: those that a model from " +
        "random weights would learn, and the share that the bundled base does not know",
    )
    .addOption(
      choiceOption("--problem-type <name>", "Kind of the labels", PROBLEM_TYPES)
        .default("single_label_classification"),
    );
  addTableOptions(command);
  addSettingsOptions(command, AuditSettings);
  return command
    .option(
      "--html <file>",
      "The page with pictures; default: audit.html in the folder, or here for the bundled sample",
    )
    .option("--json", "Print the report as JSON on standard output")
    .action(runAudit);
}

async function runAudit(dir: string, options: AuditCommandOptions): Promise<void> {
  const { maxLength } = parseSettings(AuditSettings, options);
  const { model, html, json, problemType } = options;
  const tokenizer = model === undefined
    ? undefined
    : await readTokenizer(model, await readConfig(model), maxLength);
  const base = tokenizer ?? await Tokenizer.load(await modelDir(BUNDLED_MODEL));
  const report = await audit(dir, {
    unknownShare: (texts) =>
      unknownShare(base.countAll(texts.values().map((text) => base.encode(text)))),
    problemType,
    columns: columnsOf(options),
    format: formatOf(options),
    maxLength: Math.min(maxLength, tokenizer?.maxLength ?? Infinity),
    wordPieceCounter: tokenizer === undefined
      ? scratchWordPieces
      : () => (text) => tokenizer.countTokens(text) - tokenizer.specialTokenCount,
  });
  // The report is printed first, as the folder may not be writable.
  console.log(json ? JSON.stringify(report) : formatAudit(report));
  const isSample = await Deno.realPath(dir) === await Deno.realPath(SAMPLE_DIR);
  const page = html ?? join(isSample ? "." : dir, "audit.html");
  // Loaded here so that other commands start faster.
  const { auditPage } = await import("./audit_page.ts");
  await writeFileAtomically(page, await auditPage(report));
  if (!json) console.log(`\nThe same with pictures is in ${page}`);
}

function fetchCommand(): Command {
  return new Command("fetch")
    .description("Download the published splits of YouTube titles, 1 MB, and check them")
    .requiredOption("--out <dir>", "Folder for the data set")
    .option("--from <url>", "The folder that holds the three files", PUBLISHED_URL)
    .action(runFetch);
}

async function runFetch({ out: outDir, from }: { out: string; from: string }): Promise<void> {
  const bar = new cliProgress.SingleBar({
    format: "  {bar} {value}/{total} bytes | {file}",
    barsize: 28,
    clearOnComplete: true,
    stream: process.stderr,
  }, cliProgress.Presets.shades_classic);
  const total = PUBLISHED_FILES.reduce((sum, { bytes }) => sum + bytes, 0);
  bar.start(total, 0, { file: "" });
  const sizes = new Map<string, number>();
  const onProgress = ({ name }: KnownFile, bytes: number) => {
    sizes.set(name, bytes);
    bar.update([...sizes.values()].reduce((sum, size) => sum + size), { file: name });
  };
  try {
    await fetchFiles(PUBLISHED_FILES, { from, outDir, onProgress });
  } finally {
    bar.stop();
  }
  console.log(`The published splits are in ${outDir}, checked by SHA-256. Try next:
  deno task --quiet data audit ${outDir}`);
}

function formatPrepared(
  { input, counts, classes, files }: PreparedDataset,
  dir: string,
  problemType: ProblemType | undefined,
): string {
  const given = `${quoted(dir)}${problemFlag(problemType)}`;
  const sides = SIDES.filter((side) => files[side] !== undefined);
  const table = new Table({
    head: ["class", ...sides, "raw labels"],
    colAligns: ["left", ...sides.map(() => "right" as const), "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const { label, name, raw } of classes.slice(0, MAX_CLASSES)) {
    table.push([
      label === name ? name : `${label} ${name}`,
      ...sides.map((side) => count(files[side]?.classes[label] ?? 0)),
      raw.length > 6 ? `${raw.slice(0, 6).join(", ")}, … (${raw.length})` : raw.join(", "),
    ]);
  }
  table.push(["all", ...sides.map((side) => count(files[side]?.rows ?? 0)), ""]);
  const dropped = counts.train_before_balance - files.train.rows;
  return [
    `${input.file}: ${count(counts.read)} rows, ${count(counts.kept)} with a text, ` +
    `${count(counts.distinct_texts)} distinct texts`,
    ...counts.bad > 0
      ? [`${count(counts.bad)} bad ${counts.bad === 1 ? "row" : "rows"} left out`]
      : [],
    ...counts.skipped > 0
      ? [`${count(counts.skipped)} ${counts.skipped === 1 ? "row" : "rows"} left out by the label`]
      : [],
    ...dropped > 0 ? [`${count(dropped)} training rows left out to balance the classes`] : [],
    "",
    `${table}`,
    ...classes.length > MAX_CLASSES
      ? [`… and ${count(classes.length - MAX_CLASSES)} smaller classes; all are in dataset.json`]
      : [],
    "",
    `The data set is in ${dir}. Try next:`,
    `  deno task --quiet data audit ${given}`,
    `  deno task --quiet train --mode full --data ${given}`,
  ].join("\n");
}
