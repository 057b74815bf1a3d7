/**
 * OpenTelemetry, which Deno exports if `OTEL_DENO=true`.
 *
 * @module
 */

/** The place where Deno leaves its implementation for the API to find. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");

/** OpenTelemetry's API; its hundred modules are loaded only where Deno exports something. */
export const openTelemetry: typeof import("@opentelemetry/api") | undefined =
  REGISTERED in globalThis ? await import("@opentelemetry/api") : undefined;

/** Whether this process sends metrics: `OTEL_DENO=true`, without `OTEL_DENO_METRICS=false`. */
export function sendsMetrics(): boolean {
  if (openTelemetry === undefined) return false;
  const { createNoopMeter, metrics } = openTelemetry;
  return metrics.getMeter("graft").constructor !== createNoopMeter().constructor;
}
