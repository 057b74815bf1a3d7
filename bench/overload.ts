/**
 * A server with more clients than it answers at once: its answers, the time of its health check,
 * and the growth of its memory.
 *
 * @module
 */
import type { Device } from "../onnx/runtime/device.ts";
import { BENCH_MODEL, randomTexts, Server, writeModel } from "./server.ts";
import { type BENCH_SIZES, median } from "./train.ts";

/** Settings of {@link benchOverload}. */
export interface OverloadBenchOptions {
  size: keyof typeof BENCH_SIZES;
  /** Tokens of each text. */
  length: number;
  /** The number of clients, each with one request under way. */
  connections: number;
  /** The number of requests that the server answers at once. */
  maxConcurrentRequests: number;
  /** The length of a wave. */
  seconds: number;
  /** The number of waves. */
  waves: number;
  device: Device;
}

/** The results of one wave of clients. */
export interface Wave {
  /** Answers by their status. */
  statuses: Record<string, number>;
  /** Requests without an answer. */
  lost: number;
  health_median_ms: number;
  health_max_ms: number;
  /** The server's resident memory after the wave. */
  resident_bytes: number;
}

/** The time after which a refused client tries again; the server asks for a second. */
const RETRY_MS = 100;
/** The time for the health probe to start. */
const HEAD_START_MS = 500;
/** The time between a wave and the reading of the memory. */
const REST_MS = 2000;

/** Sends waves of clients to a server of its own. */
export async function benchOverload(options: OverloadBenchOptions): Promise<Wave[]> {
  const { size, length, device, maxConcurrentRequests, waves } = options;
  const runsDir = await Deno.makeTempDir();
  try {
    const text = randomTexts(await writeModel(runsDir, size), length);
    const limit = ["--max-concurrent-requests", String(maxConcurrentRequests)];
    await using server = await Server.start(runsDir, device, limit);
    await server.predict(text());
    const results: Wave[] = [];
    for (let wave = 0; wave < waves; wave++) results.push(await sendWave(server, text, options));
    return results;
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
}

async function sendWave(
  server: Server,
  text: () => string,
  { connections, seconds }: OverloadBenchOptions,
): Promise<Wave> {
  let startedAt = 0;
  const isOver = () => performance.now() - startedAt > seconds * 1000;
  const statuses: Record<string, number> = {};
  let lost = 0;
  const client = async () => {
    while (!isOver()) {
      const body = JSON.stringify({ model: BENCH_MODEL, inputs: [text()] });
      const status = await server.status("/v1/predict", { method: "POST", body })
        .catch(() => undefined);
      if (status === undefined) lost++;
      else statuses[status] = (statuses[status] ?? 0) + 1;
      if (status !== 200) await sleep(RETRY_MS);
    }
  };
  const probe = new Worker(new URL("./health_probe.ts", import.meta.url), { type: "module" });
  const probed = new Promise<number[]>((resolve) => {
    probe.onmessage = ({ data }: MessageEvent<number[]>) => resolve(data);
  });
  probe.postMessage(`${server.url}/health`);
  await sleep(HEAD_START_MS);
  startedAt = performance.now();
  await Promise.all(Array.from({ length: connections }, client));
  probe.postMessage("");
  const healthMs = await probed;
  probe.terminate();
  await sleep(REST_MS);
  const metric = await server.metrics();
  return {
    statuses,
    lost,
    health_median_ms: median(healthMs),
    health_max_ms: Math.max(...healthMs),
    resident_bytes: metric("process_resident_memory_bytes"),
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
