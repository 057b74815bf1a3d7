/**
 * A server's traces, logs and metrics, as OpenTelemetry sends them: OTLP over HTTP in JSON.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { writeModel } from "../support/local_server.ts";
import { address } from "../support/server_process.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));

interface Attribute {
  key: string;
  value: { stringValue?: string };
}

interface LogRecord {
  severityText: string;
  body: { stringValue: string };
}

interface Span {
  name: string;
  attributes: Attribute[];
}

interface Metric {
  name: string;
}

/** Longer than any of this takes. */
const PATIENCE_MS = 30_000;

/** Takes what a server sends. */
class Collector implements AsyncDisposable {
  readonly logs: LogRecord[] = [];
  readonly spans: Span[] = [];
  readonly metrics: Metric[] = [];
  readonly #http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { resourceLogs = [], resourceSpans = [], resourceMetrics = [] } = await request.json();
      for (const { scopeLogs } of resourceLogs) {
        for (const { logRecords } of scopeLogs) this.logs.push(...logRecords);
      }
      for (const { scopeSpans } of resourceSpans) {
        for (const { spans } of scopeSpans) this.spans.push(...spans);
      }
      for (const { scopeMetrics } of resourceMetrics) {
        for (const { metrics } of scopeMetrics) this.metrics.push(...metrics);
      }
      return Response.json({});
    },
  );

  /** Waits for a metric. */
  async metric(name: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!this.metrics.some((metric) => metric.name === name)) {
      if (performance.now() > end) throw new Error(`${name} did not come`);
      await delay(50);
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

Deno.test("serve sends requests by their route, logs by their severity, and metrics", async () => {
  const runsDir = await Deno.makeTempDir();
  await writeModel(join(runsDir, "titles"), 1);
  await using collector = new Collector();
  const server = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--allow-read", "--allow-write", "--allow-net", "--allow-run=deno"]
      .concat(MAIN, "serve", "--port", "0", "--runs", runsDir),
    env: {
      NO_COLOR: "1",
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  try {
    const url = await address(server.stderr);
    const ask = async (path: string, body?: string) => {
      const init = body === undefined ? {} : { method: "POST", body };
      return await (await fetch(url + path, init)).text();
    };
    await ask("/v2/models/titles/infer", "{}");
    await ask("/v1/models/titles");
    await ask("/no/such/path");
    const rows = Array.from({ length: 40 }, (_, i) => `text ${i},${i % 2}\n`).join("");
    await ask("/v1/datasets?name=small", `text,label\n${rows}`);
    const run = JSON.stringify({ dataset: "small", model: "scratch:tiny", epochs: 1 });
    const { id } = JSON.parse(await ask("/v1/runs", run));
    await ask(`/v1/runs/${id}/events`);
    collector.metrics.length = 0;
    for (
      const name of ["requests_total", "request_duration_seconds", "failures_total", "runs"]
        .concat("job_queue_length", "disk_bytes", "loaded_models")
    ) await collector.metric(`graft_${name}`);
  } finally {
    server.kill("SIGTERM");
    const killer = setTimeout(() => server.kill("SIGKILL"), PATIENCE_MS);
    const { signal } = await server.status;
    clearTimeout(killer);
    strictEqual(signal, null, "the server did not end");
    await Deno.remove(runsDir, { recursive: true });
  }
  const routes = collector.spans.map(({ attributes }) =>
    attributes.find(({ key }) => key === "http.route")?.value.stringValue
  );
  for (const route of ["/v2/models/:model/infer", "/v1/models/:name", "none"]) {
    ok(routes.includes(route), `${route} of ${routes}`);
  }
  ok(collector.spans.some(({ name }) => name === "GET /v1/models/:name"));
  // No line is an error here, and none is what processes say to each other.
  ok(collector.logs.length > 0);
  for (const { severityText, body: { stringValue } } of collector.logs) {
    deepStrictEqual([severityText, JSON.parse(stringValue).message], ["INFO", "request"]);
  }
});
