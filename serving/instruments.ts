/**
 * Instruments that Prometheus reads and OpenTelemetry receives. Deno sends the latter if
 * `OTEL_DENO=true`; otherwise they do nothing.
 *
 * @module
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { openTelemetry } from "../lib/telemetry.ts";

type Labels<Label extends string> = Record<Label, string | number>;

/** The name of an instrument, and a sentence that says what it measures. */
export interface Instrument {
  name: string;
  help: string;
}

const meter = () => openTelemetry?.metrics.getMeter("graft");

/** A sum that only grows. */
export class Count<Label extends string> {
  /** Prometheus' counter. */
  readonly prometheus: Counter<Label>;
  readonly #openTelemetry;

  constructor(registry: Registry, { name, help }: Instrument, labelNames: readonly Label[]) {
    this.prometheus = new Counter({ name, help, labelNames, registers: [registry] });
    this.#openTelemetry = meter()?.createCounter(name, { description: help });
  }

  /** Adds a value. */
  add(labels: Labels<Label>, value: number = 1): void {
    this.prometheus.inc(labels, value);
    this.#openTelemetry?.add(value, labels);
  }
}

/** A distribution of values over buckets. */
export class Distribution<Label extends string = never> {
  /** Prometheus' histogram. */
  readonly prometheus: Histogram<Label>;
  readonly #openTelemetry;

  constructor(
    registry: Registry,
    { name, help }: Instrument,
    buckets: number[],
    labelNames: readonly Label[] = [],
  ) {
    this.prometheus = new Histogram({ name, help, buckets, labelNames, registers: [registry] });
    const advice = { explicitBucketBoundaries: buckets };
    this.#openTelemetry = meter()?.createHistogram(name, { description: help, advice });
  }

  /** Adds a value. */
  record(value: number, labels: Partial<Labels<Label>> = {}): void {
    this.prometheus.observe(labels, value);
    this.#openTelemetry?.record(value, labels);
  }
}

/** A value for each set of labels. */
export type Observation<Label extends string> = [labels: Labels<Label>, value: number];

/** Measures values when the metrics are read or sent. */
export function observe<Label extends string>(
  registry: Registry,
  { name, help }: Instrument,
  labelNames: readonly Label[],
  values: () => Observation<Label>[] | Promise<Observation<Label>[]>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      this.reset();
      for (const [labels, value] of await values()) this.set(labels, value);
    },
  });
  // The last time is after the end of the server, when its state is closed.
  let latest: Observation<Label>[] = [];
  meter()?.createObservableGauge(name, { description: help }).addCallback(async (result) => {
    latest = await Promise.try(values).catch(() => latest);
    for (const [labels, value] of latest) result.observe(value, labels);
  });
}
