/**
 * `worker`: what the server starts to train in; people have no use for it.
 *
 * @module
 */
import { Command } from "commander";
import { parseColumnMapping } from "../data/columns.ts";
import { readDataset } from "../data/dataset.ts";
import { type JobMessage, textLines, type TrainJob } from "../training/job.ts";
import { train } from "../training/train.ts";

/** The command. */
export function workerCommand(): Command {
  return new Command("worker")
    .description("Train one run for the server: a job on standard input, events on standard output")
    .action(run);
}

async function run(): Promise<void> {
  const lines = textLines(Deno.stdin.readable)[Symbol.asyncIterator]();
  const job: TrainJob = JSON.parse((await lines.next()).value);
  // Standard input stays open as long as the server lives.
  void lines.next().then(({ done }) => done && Deno.exit(1));

  const { settings, dataDir, outDir } = job;
  try {
    const dataset = await readDataset(
      dataDir,
      settings.problemType,
      parseColumnMapping(settings.columnMapping),
    );
    await train(dataset, { settings, outDir, onEvent: send });
    Deno.exit(0);
  } catch (error) {
    send({ type: "error", message: error instanceof Error ? error.message : String(error) });
    Deno.exit(1);
  }
}

function send(message: JobMessage): void {
  console.log(JSON.stringify(message));
}
