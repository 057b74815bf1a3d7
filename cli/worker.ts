/**
 * `worker`: trains and evaluates for the servers of a cluster with `--cluster`. Without it, it is
 * the process that a server or worker starts for one job, and is not for use by people.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { parseColumnMapping } from "../data/columns.ts";
import { readDataset } from "../data/dataset.ts";
import { ingest } from "../data/preparation/ingest.ts";
import { isDiskFull } from "../lib/files.ts";
import { messageOf } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { writeLine } from "../lib/write_line.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import { scratchWordPieces } from "../models/scratch.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { WorkerLabel } from "../orchestration/worker_label.ts";
import { writeRows } from "../orchestration/evaluation_rows.ts";
import type { ClusterWorkerFlags } from "./cluster_worker.ts";
import { addClusterOptions } from "./cluster_options.ts";
import { collect } from "./collect.ts";
import { parseCount } from "./parse_count.ts";
import { evaluateFile } from "../training/evaluate_file.ts";
import {
  type EvaluateJob,
  HEARTBEAT_MS,
  type Job,
  type JobMessage,
  type StopMessage,
  textLines,
  type TrainJob,
} from "../orchestration/job.ts";
import { trainingTextsOf } from "../training/folder/trained_on.ts";
import { TrainingInterrupted } from "../training/interrupted.ts";
import { TrainSettings } from "../training/settings.ts";
import type { TrainEvent } from "../training/events.ts";
import { train } from "../training/train.ts";

/** The command. */
export function workerCommand(): Command {
  return addClusterOptions(new Command("worker"))
    .description("Run the trainings and evaluations that a cluster's servers have queued")
    .option("--name <name>", "Name of the worker in lists")
    .option("--runs <dir>", "Folder for what it works on, which no other may use", "worker")
    .option("--device <name>", "Device that it offers; repeatable; default: all it has", collect)
    .option(
      "--labels <labels>",
      "Labels by which runs may ask for it, separated by commas: gpu,big",
      parseLabels,
      [],
    )
    .option("--tasks <number>", "Runs and evaluations at once", parseCount, 1)
    .option(
      "--lease <seconds>",
      "Give the tasks of a worker that is silent this long to others; the same for all members",
      parseCount,
      30,
    )
    .option(
      "--heartbeat-timeout <seconds>",
      "Replace a training process that is silent this long",
      parseCount,
      120,
    )
    .action(async (flags: Partial<ClusterWorkerFlags>) => {
      if (flags.cluster === undefined) return await runOneJob();
      // Imported here, as a subprocess does not need it.
      const { runClusterWorker } = await import("./cluster_worker.ts");
      await runClusterWorker(flags as ClusterWorkerFlags);
    });
}

function parseLabels(text: string): string[] {
  return text.split(",").map((part) => {
    const { data: label, error } = WorkerLabel.safeParse(part.trim());
    if (error === undefined) return label;
    throw new InvalidArgumentError(`'${part}' ${error.issues[0]!.message}`);
  });
}

/**
 * Does the job from standard input; events go to standard output.
 *
 * @throws {UserError} If there is none, as when a person has started the command.
 */
async function runOneJob(): Promise<void> {
  const lines = textLines(Deno.stdin.readable)[Symbol.asyncIterator]();
  const { value = "" } = Deno.stdin.isTerminal() ? {} : await lines.next();
  const job = jobOf(value);
  if (job === undefined) {
    throw new UserError(
      "Cannot start a worker without --cluster: its jobs come from the server that starts it; use " +
        "--cluster nats://HOST:4222, or 'deno task train' to train here",
    );
  }
  const stopping = new AbortController();
  void listen(lines, stopping);
  // Ctrl-C in a terminal reaches all its processes; the server decides what to do.
  Deno.addSignalListener("SIGINT", () => {});
  setInterval(() => send({ type: "heartbeat" }), HEARTBEAT_MS);
  try {
    await runJob(job, stopping.signal);
    Deno.exit(0);
  } catch (error) {
    const interrupted = error instanceof TrainingInterrupted;
    if (interrupted || error === stopping.signal.reason) {
      send({ type: "stopped", step: interrupted ? error.step : 0 });
      Deno.exit(0);
    }
    const fault = isDiskFull(error) ? "disk_full" : error instanceof UserError ? "user" : undefined;
    const message = messageOf(error);
    send({ type: "error", message, ...fault !== undefined && { fault } });
    Deno.exit(1);
  }
}

/** The job in a server's line; `undefined` if it is no such line. */
function jobOf(line: string): Job | undefined {
  try {
    const job: Job | null = JSON.parse(line);
    return typeof job?.type === "string" ? job : undefined;
  } catch {
    return undefined;
  }
}

/** Stops when the server asks for it; exits when the end of the server closes the input. */
async function listen(lines: AsyncIterator<string>, stopping: AbortController): Promise<void> {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const { type }: StopMessage = JSON.parse(line.value);
    if (type === "stop") stopping.abort();
  }
  Deno.exit(1);
}

async function runJob(job: Job, signal: AbortSignal): Promise<void> {
  switch (job.type) {
    case "train":
      return await runTraining(job, signal);
    case "evaluate":
      return await runEvaluation(job);
    case "ingest":
      await ingest(job, {
        wordPieceCounter: scratchWordPieces,
        maxLength: TrainSettings.shape.maxLength.parse(undefined),
      });
      send({ type: "ingested" });
  }
}

async function runTraining(job: TrainJob, signal: AbortSignal): Promise<void> {
  const { settings, dataDir, outDir, name, resume, isTrial } = job;
  const columns = parseColumnMapping(settings.columnMapping);
  const dataset = await readDataset(dataDir, settings.problemType, columns);
  const onEvent = (event: TrainEvent) =>
    send(event.type === "step" ? { ...event, memory_bytes: Deno.memoryUsage().rss } : event);
  const used = isTrial ? { ...dataset, test: [] } : dataset;
  await train(used, { settings, outDir, name, resume, onEvent, signal });
}

async function runEvaluation(
  { modelDir, file, device, dtype, rowsFile }: EvaluateJob,
): Promise<void> {
  await using executor = await Executor.start({ device });
  const classifier = await TextClassifier.load(executor, modelDir, dtype);
  const seenTexts = await trainingTextsOf(modelDir).catch((error) => {
    // A model may name another folder for its data, which is no reason to read there.
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  });
  const { report, rows, scores } = await evaluateFile(classifier, file, seenTexts);
  if (rowsFile !== undefined) {
    const hasSeveral = report.problem_type === "multi_label_classification";
    await writeRows(rowsFile, rows, seenTexts, hasSeveral ? scores : undefined);
  }
  send({ type: "report", report });
}

/** Sends a message without `console`, whose lines would be logs if OpenTelemetry is on. */
function send(message: JobMessage): void {
  writeLine(Deno.stdout, JSON.stringify(message));
}
