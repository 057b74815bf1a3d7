/**
 * What the server does when there are more clients than it answers at once: what each was told, how
 * soon it says that it lives, and whether its memory grows.
 *
 * @module
 */
import type { Device } from "../onnx/runtime/device.ts";
import { BENCH_MODEL, randomTexts, Server, writeModel } from "./server.ts";
import { type BENCH_SIZES, median } from "./train.ts";

/** What is measured. */
export interface OverloadBenchOptions {
  size: keyof typeof BENCH_SIZES;
  /** Tokens of each text. */
  length: number;
  /** How many clients there are, each with one request under way. */
  connections: number;
  /** How many requests the server answers at once. */
  maxConcurrentRequests: number;
  /** How long a wave lasts. */
  seconds: number;
  /** How often all clients come. */
  waves: number;
  device: Device;
}

/** What one wave of clients saw. */
export interface Wave {
  /** Answers by their status. */
  statuses: Record<string, number>;
  /** Requests that were not answered. */
  lost: number;
  health_median_ms: number;
  health_max_ms: number;
  /** Of the server's process when the wave is over. */
  resident_bytes: number;
}

/** A refused client comes again after so long; it was told a second. */
const RETRY_MS = 100;
/** The probe of the server's health has begun by then. */
const HEAD_START_MS = 500;
/** Memory is read when so much time has passed after a wave. */
const REST_MS = 2000;

/** Sends waves of clients to a server that is started for this and stopped afterwards. */
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
