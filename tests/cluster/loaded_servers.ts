/**
 * Two servers of a cluster under load, while models are published and one of them is killed.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ClusterMember } from "../../orchestration/cluster/member.ts";
import { writeModel } from "../support/local_server.ts";
import { address } from "../support/server_process.ts";
import { pause } from "./disturbed_runs.ts";
import { NatsServers } from "./nats_servers.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const INPUTS = ["a duet for two pianos", "bread from sour dough"];
const CLIENTS = 4;
const PUBLISH_EVERY_MS = 4000;
/** The time after which a change is in force on all servers. */
const IN_FORCE_MS = 1000;

interface Answer {
  at: number;
  until: number;
  version: number;
  predictions: string;
}

/** Loads the servers, and checks that each answer is of a version that was in force. */
export async function loadServers(
  { seconds, log }: { seconds: number; log: (line: string) => void },
): Promise<void> {
  const dir = await Deno.makeTempDir();
  await using nats = await NatsServers.start(3);
  const serve = (name: string) => {
    const args = ["serve", "--port", "0", "--device", "wasm", "--no-ui", "--runs", join(dir, name)];
    return new Deno.Command("deno", {
      args: ["run", "--quiet", "-A", MAIN, ...args, "--cluster", nats.servers],
      stdout: "null",
      stderr: "piped",
    }).spawn();
  };
  const servers = [serve("first"), serve("second")];
  try {
    const urls = await Promise.all(servers.map(({ stderr }) => address(stderr)));
    await using member = await ClusterMember.join(
      { servers: nats.servers, runsDir: join(dir, "publisher") },
      () => Promise.resolve(),
    );
    /** The times at which the publishing of each version began and ended. */
    const since: number[] = [];
    const published: number[] = [];
    const publish = async () => {
      const version = since.length + 1;
      const modelDir = join(dir, `titles-${version}`);
      await writeModel(modelDir, version);
      since.push(performance.now());
      await member.files.publishFolder("titles", crypto.randomUUID(), modelDir, true);
      published.push(performance.now());
    };
    await publish();
    const ask = async (url: string, model: string) => {
      const body = JSON.stringify({ inputs: INPUTS, model });
      return await fetch(`${url}/v1/predict`, { method: "POST", body });
    };
    for (const url of urls) {
      while ((await (await ask(url, "titles")).json()).error) await pause(100);
    }

    const end = performance.now() + seconds * 1000;
    let killedAt = Infinity;
    let refused = 0;
    let busy = 0;
    const answers: Answer[] = [];
    const load = async (server: number) => {
      while (performance.now() < end) {
        const at = performance.now();
        try {
          const response = await ask(urls[server]!, "titles");
          if (response.status === 429) busy++;
          const { model, predictions } = await response.json();
          if (response.status === 429) continue;
          deepStrictEqual(response.status, 200);
          const version = Number(model.split("@")[1]);
          answers.push({
            at,
            until: performance.now(),
            version,
            predictions: JSON.stringify(predictions),
          });
        } catch (error) {
          if (error instanceof TypeError && server === 0 && performance.now() >= killedAt) {
            refused++;
            return;
          }
          throw error;
        }
      }
    };
    const disturb = async () => {
      while (performance.now() < end - PUBLISH_EVERY_MS) {
        await pause(PUBLISH_EVERY_MS);
        await publish();
        if (killedAt < Infinity || performance.now() < end - seconds * 1000 / 3) continue;
        killedAt = performance.now();
        servers[0]!.kill("SIGKILL");
        log("killed the first server");
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, i) => load(i % 2));
    await Promise.all([...clients, disturb()]);

    const scores = new Map<number, string>();
    for (const version of since.keys()) {
      const { predictions } = await (await ask(urls[1]!, `titles@${version + 1}`)).json();
      scores.set(version + 1, JSON.stringify(predictions));
    }
    for (const { at, until, version, predictions } of answers) {
      deepStrictEqual(predictions, scores.get(version));
      ok(since[version - 1]! <= until, "a version answered before it was published");
      const next = published[version] ?? Infinity;
      ok(
        at <= next + IN_FORCE_MS,
        `version ${version} answered ${Math.round(at - next)} ms too late`,
      );
    }
    log(
      `${answers.length} answers in ${seconds} s, ${since.length} versions, all right; ` +
        `${busy} times 429, ${refused} connections refused by the server that was killed`,
    );
  } finally {
    for (const server of servers) {
      try {
        server.kill("SIGKILL");
      } catch {
        // The server has ended already.
      }
      await server.status;
    }
    await Deno.remove(dir, { recursive: true });
  }
}
