/**
 * Predictions of two servers of a cluster on this machine, beside those of one server without:
 * `deno task bench:cluster`. Each of the two has half of the threads; the clients run here, too.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { saveClassifier } from "../models/formats/classifier_folder.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { ClusterMember } from "../orchestration/cluster/member.ts";
import { NatsServers } from "../tests/cluster/nats_servers.ts";
import { address } from "../tests/support/server_process.ts";
import { METRICS_FILE } from "../training/folder/run_folder.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const CLIENTS = 16;
const SECONDS = 10;
const WARM_UP_SECONDS = 2;
const TEXTS = ["a duet for two pianos", "bread from sour dough", "how to tune a piano"];

const dir = await Deno.makeTempDir();
const servers: Deno.ChildProcess[] = [];

async function serve(name: string, ...args: string[]): Promise<string> {
  const common = ["serve", "--port", "0", "--device", "wasm", "--no-ui", "--runs", join(dir, name)];
  const server = new Deno.Command("deno", {
    args: ["run", "--quiet", "-A", MAIN, ...common, ...args],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  servers.push(server);
  return await address(server.stderr);
}

/** Texts that were classified in a second, by clients that each ask the next server in turn. */
async function throughput(urls: readonly string[]): Promise<number> {
  const body = JSON.stringify({
    inputs: Array.from({ length: 8 }, (_, i) => TEXTS[i % 3]),
    model: "titles",
  });
  let texts = 0;
  const startedAt = performance.now() + WARM_UP_SECONDS * 1000;
  const end = startedAt + SECONDS * 1000;
  const ask = async (client: number) => {
    while (performance.now() < end) {
      const response = await fetch(`${urls[client % urls.length]}/v1/predict`, {
        method: "POST",
        body,
      });
      if (!response.ok) throw new Error(await response.text());
      await response.body?.cancel();
      const now = performance.now();
      if (now > startedAt && now < end) texts += 8;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, client) => ask(client)));
  return texts / SECONDS;
}

async function stop(): Promise<void> {
  for (const server of servers.splice(0)) {
    server.kill("SIGKILL");
    await server.status;
  }
}

try {
  await using nats = await NatsServers.start(1);
  const modelDir = join(dir, "one", "titles");
  await saveClassifier(
    modelDir,
    scratchClassifier("tiny", TEXTS, ["a", "b"], { seed: 1, maxLength: 32 }),
  );
  await Deno.writeTextFile(join(modelDir, METRICS_FILE), "{}");
  const one = await throughput([await serve("one")]);
  await stop();
  const cluster = ["--cluster", nats.servers];
  const half = String(Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)));
  const share = [...cluster, "--threads", half];
  const urls = [await serve("first", ...share), await serve("second", ...share)];
  {
    await using member = await ClusterMember.join(
      { servers: nats.servers, runsDir: join(dir, "publisher") },
      () => Promise.resolve(),
    );
    await member.files.publishFolder("titles", crypto.randomUUID(), modelDir, true);
  }
  const two = await throughput(urls);
  await stop();
  const again = await throughput([await serve("one")]);
  const mean = (one + again) / 2;
  console.log(`One server: ${Math.round(one)}, then ${Math.round(again)} texts/s`);
  console.log(
    `Two servers of a cluster: ${Math.round(two)} texts/s, ${(two / mean).toFixed(2)} of it`,
  );
} finally {
  await stop();
  await Deno.remove(dir, { recursive: true });
}
