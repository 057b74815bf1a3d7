/**
 * Counts and times of the server, as Prometheus reads them.
 *
 * @module
 */
import process from "node:process";
import { Counter, Registry } from "prom-client";
import type { BatchReport } from "./batcher.ts";
import { Count, Distribution, observe } from "./instruments.ts";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const TOKENS = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384];

/** The work of a version of a model since the server started. */
export interface VersionFigures {
  /** The number of texts that were classified. */
  texts: number;
  /** The number of texts that failed because of the model or the device. */
  failures: number;
  /** The mean time from a request's texts to their scores; `null` before the first. */
  meanMs: number | null;
}

/** The metrics of one server. */
export class Metrics {
  /** All metrics, to be printed. */
  readonly registry: Registry = new Registry();
  readonly #requests = new Count(this.registry, {
    name: "graft_requests_total",
    help: "Requests that were answered",
  }, ["method", "route", "status"]);
  readonly #requestSeconds = this.#histogram(
    "graft_request_duration_seconds",
    "Time from a request to its answer",
    SECONDS,
    ["route"],
  );
  readonly #failures = new Count(this.registry, {
    name: "graft_failures_total",
    help: "Requests that failed, by the kind of their error",
  }, ["error_type"]);
  readonly #predictions = new Count(this.registry, {
    name: "graft_predictions_total",
    help: "Texts that were classified",
  }, ["model", "version"]);
  readonly #predictionFailures = new Count(this.registry, {
    name: "graft_prediction_failures_total",
    help: "Texts that were not classified, by a fault of the model or the device",
  }, ["model", "version"]);
  readonly #predictionSeconds = this.#histogram(
    "graft_prediction_duration_seconds",
    "Time from a text's arrival to its scores",
    SECONDS,
    ["model", "version"],
  );
  readonly #tokenizationSeconds = this.#histogram(
    "graft_tokenization_duration_seconds",
    "Time that the texts of a request took to become tokens",
    SECONDS,
  );
  readonly #queueSeconds = this.#histogram(
    "graft_queue_duration_seconds",
    "Time that a request waited for the device",
    SECONDS,
  );
  readonly #inferenceSeconds = this.#histogram(
    "graft_inference_duration_seconds",
    "Time that a batch took on the device",
    SECONDS,
  );
  readonly #batchRows = this.#histogram("graft_batch_rows", "Texts of a batch", ROWS);
  readonly #batchTokens = this.#histogram(
    "graft_batch_tokens",
    "Tokens of a batch, padding included",
    TOKENS,
  );

  constructor() {
    // The library's own metrics of the process are for Node.js; most are 0 or wrong here.
    this.gauge(
      "process_resident_memory_bytes",
      "Memory of the process, executor included",
      () => Deno.memoryUsage().rss,
    );
    new Counter({
      name: "process_cpu_seconds_total",
      help: "CPU time of the process, executor included",
      registers: [this.registry],
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    });
  }

  /** Adds a metric whose value is computed when the metrics are read. */
  gauge(name: string, help: string, value: () => number): void {
    observe(this.registry, { name, help }, [], () => [[{}, value()]]);
  }

  /** Adds a metric with a value for each value of a label, computed when the metrics are read. */
  gauges<Label extends string>(
    name: string,
    help: string,
    label: Label,
    values: () => Promise<Record<string, number>>,
  ): void {
    observe(
      this.registry,
      { name, help },
      [label],
      async () =>
        Object.entries(await values())
          .map(([key, value]) => [{ [label]: key } as Record<Label, string>, value]),
    );
  }

  /** Counts and times a request that was answered. */
  request(method: string, route: string, status: number, durationMs: number): void {
    this.#requests.add({ method, route, status });
    this.#requestSeconds.record(durationMs / 1000, { route });
  }

  /** Counts a request that failed. */
  failure(errorType: string): void {
    this.#failures.add({ error_type: errorType });
  }

  /** Counts and times a request's texts for one version. */
  prediction(model: string, version: number, texts: number, durationMs: number): void {
    this.#predictions.add({ model, version }, texts);
    this.#predictionSeconds.record(durationMs / 1000, { model, version });
  }

  /** Counts a request's texts that a version failed to classify. */
  predictionFailure(model: string, version: number, texts: number): void {
    this.#predictionFailures.add({ model, version }, texts);
  }

  /** The work of each version, by `name@version`, without those that have done nothing. */
  async versions(): Promise<Map<string, VersionFigures>> {
    const figures = new Map<string, VersionFigures & { seconds: number; requests: number }>();
    const add = (
      { model, version }: { model?: string | number; version?: string | number },
      key: "texts" | "failures" | "seconds" | "requests",
      value: number,
    ) => {
      const name = `${model}@${version}`;
      const known = figures.get(name) ??
        { texts: 0, failures: 0, meanMs: null, seconds: 0, requests: 0 };
      figures.set(name, { ...known, [key]: known[key] + value });
    };
    for (const { labels, value } of (await this.#predictions.prometheus.get()).values) {
      add(labels, "texts", value);
    }
    for (const { labels, value } of (await this.#predictionFailures.prometheus.get()).values) {
      add(labels, "failures", value);
    }
    for (
      const { labels, value, metricName } of (await this.#predictionSeconds.prometheus.get()).values
    ) {
      if (metricName?.endsWith("_sum")) add(labels, "seconds", value);
      if (metricName?.endsWith("_count")) add(labels, "requests", value);
    }
    return new Map(
      Array.from(figures, ([name, { texts, failures, seconds, requests }]) => [
        name,
        { texts, failures, meanMs: requests === 0 ? null : 1000 * seconds / requests },
      ]),
    );
  }

  /** Times the encoding and the queueing of a request's texts. */
  stages(tokenizationMs: number, queueMs: number): void {
    this.#tokenizationSeconds.record(tokenizationMs / 1000);
    this.#queueSeconds.record(queueMs / 1000);
  }

  /** Counts and times a batch. */
  batch({ rows, tokens, durationMs }: BatchReport): void {
    this.#batchRows.record(rows);
    this.#batchTokens.record(tokens);
    this.#inferenceSeconds.record(durationMs / 1000);
  }

  #histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: Label[] = [],
  ): Distribution<Label> {
    return new Distribution(this.registry, { name, help }, buckets, labelNames);
  }
}
