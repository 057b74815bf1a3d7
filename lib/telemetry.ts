/**
 * Whether Deno exports OpenTelemetry data.
 *
 * @module
 */
import { createNoopMeter, metrics } from "@opentelemetry/api";

/** Whether this process sends metrics: `OTEL_DENO=true`, without `OTEL_DENO_METRICS=false`. */
export function sendsMetrics(): boolean {
  return metrics.getMeter("graft").constructor !== createNoopMeter().constructor;
}
