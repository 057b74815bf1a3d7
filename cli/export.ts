/**
 * `export`: writes a trained model in another form.
 *
 * @module
 */
import { Command } from "commander";
import { UserError } from "../lib/user_error.ts";
import { mergedClassifier, saveClassifier } from "../models/formats/classifier_folder.ts";
import { lastRun } from "./last_run.ts";

interface Options {
  model?: string;
  out: string;
  merge?: boolean;
}

/** The command and its options. */
export function exportCommand(): Command {
  return new Command("export")
    .description("Write a trained model in another form")
    .requiredOption("--out <dir>", "The folder that it is written to")
    .option("--model <dir>", "The model's folder; default: the last finished run")
    .option("--merge", "Write an adapter and its base as one whole model (--mode lora)")
    .action(exportModel);
}

async function exportModel({ model, out, merge }: Options): Promise<void> {
  if (merge !== true) {
    throw new UserError("Cannot export: say in which form; there is --merge");
  }
  const dir = model ?? await lastRun();
  const classifier = await mergedClassifier(dir);
  await checkEmpty(out);
  await saveClassifier(out, classifier);
  console.log(`Wrote '${dir}' with its base to '${out}'`);
}

/** @throws {UserError} If the folder is not empty. */
async function checkEmpty(dir: string): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  for await (const { name } of Deno.readDir(dir)) {
    throw new UserError(`Cannot write to '${dir}': it holds '${name}'; use another --out`);
  }
}
