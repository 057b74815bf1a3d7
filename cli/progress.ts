/**
 * Shows training on standard error: a bar on a terminal, a line per epoch elsewhere.
 *
 * @module
 */
import cliProgress from "cli-progress";
import { count, counted, percent } from "../lib/format.ts";
import type { DownloadEvent } from "../models/hub.ts";
import type {
  EncodingEvent,
  EvaluationEvent,
  PretrainEvent,
  PretrainStartEvent,
  StartEvent,
  TrainEvent,
} from "../training/events.ts";
import { decimals, describeMetrics } from "../training/metrics.ts";
import type { TableProgress } from "../training/predict_table.ts";
import { printNote, wrapped } from "./note.ts";
import { formatMetric, unknownLine } from "./report.ts";

/** The format of the bar, with the most important figures first: a narrow terminal cuts the end. */
const FORMAT = "  {bar} {value}/{total} steps | {left} left | loss {loss} | {rate} tokens/s";
const DOWNLOAD_FORMAT = "  {bar} {percentage} % | {file}";
const ENCODING_FORMAT = "  {bar} {value}/{total} texts encoded";
/** The width of the bar in columns, so that the line fits into 80. */
const BAR_SIZE = 14;
/** The weight of the earlier losses in the bar's smoothed loss. */
const SMOOTHING = 0.95;

/** Shows the events of one run, of training or of pretraining. */
export class TrainProgress {
  readonly #bars = new cliProgress.MultiBar({
    format: FORMAT,
    barsize: BAR_SIZE,
    clearOnComplete: true,
    stream: process.stderr,
  }, cliProgress.Presets.shades_classic);
  readonly #downloadBar = new cliProgress.SingleBar({
    format: DOWNLOAD_FORMAT,
    barsize: BAR_SIZE,
    clearOnComplete: true,
    stream: process.stderr,
  }, cliProgress.Presets.shades_classic);
  #bar: cliProgress.SingleBar | undefined;
  #encodingBar: cliProgress.SingleBar | undefined;
  #smoothedLoss: number | undefined;

  /** Shows one event. */
  show(event: TrainEvent | PretrainEvent): void {
    switch (event.type) {
      case "download":
        return this.#download(event);
      case "start":
        return this.#start(event);
      case "step": {
        const before = this.#smoothedLoss ?? event.loss;
        this.#smoothedLoss = SMOOTHING * before + (1 - SMOOTHING) * event.loss;
        this.#bar?.update(event.step, {
          loss: this.#smoothedLoss.toFixed(3),
          rate: count(Math.round(event.tokens_per_second)),
          left: formatDuration(event.seconds_left),
        });
        return;
      }
      case "evaluation":
        return this.#line(evaluationLine(event));
      case "encoding":
        return this.#encoding(event);
      case "pretrain_start":
        return this.#pretrainStart(event);
      case "pretrain_evaluation":
        return this.#line(
          `step ${count(event.step)}: held-out loss of masked tokens ${decimals(event.loss)}`,
        );
      case "finish":
      case "pretrain_finish":
        return this.stop();
    }
  }

  /** Removes the bars. */
  stop(): void {
    this.#downloadBar.stop();
    this.#bars.stop();
  }

  #download({ file, received, size }: DownloadEvent): void {
    if (received === 0) {
      if (!Deno.stderr.isTerminal()) console.error(`Downloading ${file}`);
      this.#downloadBar.start(size ?? 0, 0, { file });
    }
    this.#downloadBar.update(received);
    if (received === size) this.#downloadBar.stop();
  }

  #start(event: StartEvent): void {
    this.#downloadBar.stop();
    printNote(
      `Training ${event.model} on ${event.device} (${event.device_reason}): ${
        count(event.parameters)
      } parameters, ` +
        `${counted(event.train_examples, "text")}, ${counted(event.steps, "step")}`,
    );
    const { truncated, lost_share, chunks, train_examples } = event;
    if (truncated > 0) {
      const share = percent(truncated / train_examples);
      printNote(
        `${count(truncated)} of ${count(train_examples)} texts (${share}) are longer than ` +
          `--max-length and lose a part, ${
            percent(lost_share)
          } of all tokens; --long-texts chunk ` +
          "keeps it",
      );
    }
    if (chunks > 0) {
      printNote(
        `Texts that are longer than --max-length go in ${count(chunks)} chunks` +
          (lost_share > 0 ? `, and lose ${percent(lost_share)} of all tokens` : ""),
      );
    }
    const unknown = unknownLine(event.unknown_share);
    if (unknown !== undefined) printNote(unknown);
    printNote(event.leakage);
    for (const note of event.notes) printNote(note);
    this.#startBar(event.steps, event.steps_done);
  }

  #encoding({ texts, total }: EncodingEvent): void {
    if (total !== undefined) {
      // Until the run has its own bar, there are only few texts.
      if (this.#bar === undefined) return;
      this.#encodingBar ??= this.#bars.create(total, texts, {}, { format: ENCODING_FORMAT });
      this.#encodingBar.update(texts);
      if (texts === total) this.#bars.remove(this.#encodingBar);
      return;
    }
    if (Deno.stderr.isTerminal()) process.stderr.write(`\rEncoding: ${count(texts)} texts`);
  }

  #pretrainStart(event: PretrainStartEvent): void {
    this.#downloadBar.stop();
    if (Deno.stderr.isTerminal()) process.stderr.write("\r\x1b[K");
    printNote(
      `Pretraining ${event.model} on ${event.device} (${event.device_reason}): ${
        count(event.parameters)
      } parameters, ${count(event.vocabulary)} word pieces, ${count(event.rows)} rows with ` +
        `${count(event.tokens)} tokens, ${count(event.held_out_rows)} rows held out, ` +
        `${count(event.steps)} steps`,
    );
    this.#startBar(event.steps, event.steps_done);
  }

  #startBar(steps: number, stepsDone: number): void {
    if (stepsDone > 0) printNote(`Going on after step ${count(stepsDone)}`);
    this.#bar = this.#bars.create(steps, stepsDone, { loss: "-", rate: "-", left: "-" });
  }

  /** Prints a line above the bar. */
  #line(text: string): void {
    // Without a terminal there is no bar, and the bars' own log writes nothing.
    if (!Deno.stderr.isTerminal()) return console.error(text);
    // A terminal with a bar does not wrap lines itself.
    this.#bars.log(`${wrapped(text)}\n`);
  }
}

/** A bar on a terminal for classified rows. */
export class RowsBar {
  /** The number of rows. */
  total = 0;
  readonly #startedAt = performance.now();
  readonly #bar = new cliProgress.SingleBar({
    format: "  {bar} {value}/{total} rows | {left} left",
    barsize: BAR_SIZE,
    clearOnComplete: true,
    stream: process.stderr,
  }, cliProgress.Presets.shades_classic);

  /** Shows the number of rows done. */
  show({ rows, total }: Pick<TableProgress, "rows" | "total">): void {
    if (rows === 0) this.#bar.start(total, 0, { left: "-" });
    this.total = total;
    const secondsARow = (performance.now() - this.#startedAt) / 1000 / rows;
    this.#bar.update(rows, {
      left: rows === 0 ? "-" : formatDuration(secondsARow * (total - rows)),
    });
  }

  /** Removes the bar. */
  stop(): void {
    this.#bar.stop();
  }
}

function evaluationLine(event: EvaluationEvent): string {
  const { epoch, loss, problem_type, best } = event;
  const epochs = Number.isInteger(epoch) ? String(epoch) : epoch.toFixed(1);
  const metrics = describeMetrics(event, problem_type, formatMetric);
  return `epoch ${epochs}: validation loss ${decimals(loss)}, ${metrics}` +
    (best ? ", best so far" : "");
}

/** `75` -> `1:15` */
function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
