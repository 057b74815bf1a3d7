/**
 * `runs`: a server's training runs on the command line. It asks the running server; without one it
 * reads the state from its file, which only one process may own.
 *
 * @module
 */
import { Command } from "commander";
import Table from "cli-table3";
import { percent } from "../lib/format.ts";
import type { Run, RunEvent } from "../orchestration/run_store.ts";
import { API_KEY_VARIABLE } from "../routes/access.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import { openSource, USUAL_SERVER } from "./run_sources.ts";

/** The columns that a list of runs with all it says may take. */
const LIST_WIDTH = 120;

interface Options {
  server?: string;
  runs: string;
  json?: boolean;
  otherClasses?: boolean;
}

/** The command with its sub-commands. */
export function runsCommand(): Command {
  const command = new Command("runs").description("List, follow and control a server's runs");
  const add = (name: string, description: string) => {
    const added = new Command(name)
      .description(description)
      .option(
        "--server <url>",
        `Address of the server; default: that of the folder's server, or ${USUAL_SERVER}; the key ` +
          `that it asks for is in ${API_KEY_VARIABLE}`,
      )
      .option("--runs <dir>", "Folder of the runs", RUNS_DIR)
      .option("--json", "Print JSON on standard output");
    command.addCommand(added);
    return added;
  };
  const ofOne = (name: string, description: string) =>
    add(name, description).argument("<id>", "The run's id");
  add("list", "All runs, the newest first").action(list);
  ofOne("show", "One run").action(show);
  ofOne("logs", "The events of a run, until it is over").action(logs);
  ofOne("cancel", "Stop a run within a step, with a checkpoint").action(cancel);
  ofOne("resume", "Go on with a run that was cancelled or has failed").action(resume);
  ofOne("promote", "Let a run's model answer the requests for its name")
    .option("--other-classes", "Even if its classes differ from those before")
    .action(promote);
  return command;
}

async function list(options: Options): Promise<void> {
  await using source = await openSource(options);
  const runs = await source.list();
  if (options.json) return console.log(JSON.stringify(runs));
  if (runs.length === 0) return console.log(source.none);
  // On narrow terminals what identifies a run comes first, and the rest is left to 'runs show'.
  const isNarrow = Deno.stdout.isTerminal() && Deno.consoleSize().columns < LIST_WIDTH;
  const more = isNarrow ? [] : ["data", "attempts", "created"];
  const table = new Table({
    head: ["id", "name", "state", "accuracy", ...more],
    style: { head: [], border: [], compact: true },
  });
  for (const { id, name, state, dataset, attempt, created_at, result } of runs) {
    const accuracy = result?.metrics !== undefined && "accuracy" in result.metrics
      ? percent(result.metrics.accuracy)
      : "";
    const created = created_at.slice(0, 16).replace("T", " ");
    const rest = isNarrow ? [] : [dataset, attempt, created];
    table.push([id, name === id ? "" : name, state, accuracy, ...rest]);
  }
  console.log(`${table}`);
}

async function show(id: string, options: Options): Promise<void> {
  await using source = await openSource(options);
  print(await source.get(id), options);
}

async function logs(id: string, options: Options): Promise<void> {
  await using source = await openSource(options);
  await source.get(id);
  for await (const { event } of source.events(id)) {
    console.log(options.json ? JSON.stringify(event) : describe(event));
  }
}

async function cancel(id: string, options: Options): Promise<void> {
  await using source = await openSource(options);
  print(await source.cancel(id), options);
}

async function resume(id: string, options: Options): Promise<void> {
  await using source = await openSource(options);
  print(await source.resume(id), options);
}

async function promote(id: string, options: Options): Promise<void> {
  await using source = await openSource(options);
  const { name, version } = await source.promote(id, options.otherClasses ?? false);
  console.log(
    options.json
      ? JSON.stringify({ name, version })
      : `Requests for '${name}' get its version ${version}`,
  );
}

function print(run: Run, { json }: Options): void {
  if (json) return console.log(JSON.stringify(run));
  const { settings, result, ...rest } = run;
  const table = new Table({ style: { head: [], border: [], compact: true } });
  for (const [key, value] of Object.entries(rest)) {
    if (value === undefined || value === null) continue;
    table.push([key, typeof value === "object" ? valuesOf(value) : `${value}`]);
  }
  table.push(["settings", valuesOf(settings)]);
  for (const [key, value] of Object.entries(result?.metrics ?? {})) {
    if (typeof value !== "object") table.push([key, `${value}`]);
  }
  console.log(`${table}`);
}

/** The plain values of an object, a line each. */
function valuesOf(object: object): string {
  return Object.entries(object)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => `${key} ${value}`)
    .join("\n");
}

/** An event as one line of text. */
function describe(event: RunEvent): string {
  const { type, ...rest } = event;
  const values = Object.entries(rest)
    .filter(([, value]) => typeof value !== "object")
    .map(([key, value]) =>
      `${key} ${typeof value === "number" ? Number(value.toPrecision(5)) : value}`
    );
  return `${type}: ${values.join(", ")}`;
}
