/**
 * `bench peers`: the speed of Graft compared with others, as a page of results.
 *
 * @module
 */
import { Command } from "commander";
import { fileURLToPath } from "node:url";
import { type Section, sectionsOf } from "../bench/peers/comparison.ts";
import type { PeerBenchOptions } from "../bench/peers/part.ts";
import { benchPeers, PEER_PARTS, type PeerPart, resultsPage } from "../bench/peers/peers.ts";
import { readDataset } from "../data/dataset.ts";
import { exists, writeFileAtomically } from "../lib/files.ts";
import { choiceOption } from "./choices.ts";
import { parseCount } from "./parse_count.ts";

interface Options extends Omit<PeerBenchOptions, "threads"> {
  only?: PeerPart;
  threads?: number;
  out: string;
  json?: boolean;
}

/** The command. */
export function benchPeersCommand(): Command {
  return new Command("peers")
    .description("Compare Graft with PyTorch, TensorFlow.js, transformers.js and the hardware")
    .addOption(choiceOption("--only <part>", "One part; all by default", PEER_PARTS))
    .option("--rounds <number>", "Turns of each program", parseCount, 4)
    .option("--steps <number>", "Steps of a turn", parseCount, 5)
    .option("--recipe-steps <number>", "The same of the published recipe", parseCount, 5)
    .option("--data <dir>", "The published titles, as 'data fetch' writes them", "youtube")
    .option("--model <dir>", "The model that predicts; default: random weights of MiniLM's size")
    .option("--threads <number>", "CPU threads; default: all cores", parseCount)
    .option("--out <file>", "The page of results; parts not measured stay", "bench/RESULTS.md")
    .option("--json", "Print the results as JSON on standard output")
    .action(run);
}

async function run({ only, out, json, ...options }: Options): Promise<void> {
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const parts: readonly PeerPart[] = only === undefined ? PEER_PARTS : [only];
  // Report missing data at once, not after minutes.
  if (parts.includes("epoch") || parts.includes("predict")) await readDataset(options.data);
  const measured: Section[] = [];
  for (const part of parts) {
    console.error(`Comparing: ${part}`);
    const section = await benchPeers(part, { ...options, threads });
    const page = await formatted(resultsPage(section, await textOf(out)));
    await writeFileAtomically(out, page);
    if (!json) console.log(sectionsOf(page).get(section.title));
    measured.push(section);
  }
  if (json) console.log(JSON.stringify(measured));
}

/** The text of a file, empty if it does not exist. */
async function textOf(file: string): Promise<string> {
  return await exists(file) ? await Deno.readTextFile(file) : "";
}

/** Markdown formatted by `deno fmt`, with the columns of tables aligned. */
async function formatted(markdown: string): Promise<string> {
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const process = new Deno.Command("deno", {
    args: ["fmt", "--config", config, "--ext", "md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  // If it does not read everything, its status reports that.
  const written = new Blob([markdown]).stream().pipeTo(process.stdin).catch(() => {});
  const { success, code, stdout } = await process.output();
  await written;
  if (!success) throw new Error(`Cannot format the results: 'deno fmt' ended with status ${code}`);
  return new TextDecoder().decode(stdout);
}
