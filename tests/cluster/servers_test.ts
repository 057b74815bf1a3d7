import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { ClusterMember } from "../../orchestration/cluster/member.ts";
import type { RunStore, StateEvent } from "../../orchestration/run_store.ts";
import { Service } from "../../routes/service.ts";
import { writeModel } from "../support/local_server.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

/** Two servers of a cluster, and a member that publishes models. */
class TwoServers implements AsyncDisposable {
  readonly nats: NatsServers;
  readonly servers: [Service, Service];
  readonly #member: ClusterMember;
  readonly #dir: string;

  private constructor(
    nats: NatsServers,
    servers: [Service, Service],
    member: ClusterMember,
    dir: string,
  ) {
    this.nats = nats;
    this.servers = servers;
    this.#member = member;
    this.#dir = dir;
  }

  static async start(): Promise<TwoServers> {
    const dir = await Deno.makeTempDir();
    const nats = await NatsServers.start(1);
    const cluster = { servers: nats.servers, patienceMs: 500 };
    const open = (name: string) =>
      Service.open({ runsDir: join(dir, name), cluster, device: "wasm", page: false });
    const servers: [Service, Service] = [await open("first"), await open("second")];
    const runsDir = join(dir, "publisher");
    const member = await ClusterMember.join({ ...cluster, runsDir }, () => Promise.resolve());
    return new TwoServers(nats, servers, member, dir);
  }

  /** Publishes a version with random weights. */
  async publish(name: string, seed: number, promote = true): Promise<void> {
    const dir = join(this.#dir, `${name}-${seed}`);
    await writeModel(dir, seed);
    await this.#member.files.publishFolder(name, crypto.randomUUID(), dir, promote);
  }

  /** The store into which a worker would write the course of its runs. */
  get store(): RunStore {
    return this.#member.store;
  }

  /** The answers of both servers to the same request, the first server's first. */
  async ask(method: string, path: string, body?: unknown): Promise<[Response, Response]> {
    const [first, second] = this.servers;
    return [await request(first, method, path, body), await request(second, method, path, body)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#member[Symbol.asyncDispose]();
    for (const server of this.servers) await server[Symbol.asyncDispose]();
    await this.nats[Symbol.asyncDispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

async function request(
  { app }: Service,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const init = { method, headers, ...body !== undefined && { body: JSON.stringify(body) } };
  return await app.request(`http://127.0.0.1${path}`, init);
}

const PREDICTION = { inputs: ["a duet for two pianos"] };
const RUN = { dataset: "sample", model: "scratch:tiny", max_steps: 5 };

Deno.test({
  ...clusterTest,
  name: "two servers of a cluster answer as one, and go on predicting without NATS",
  fn: async () => {
    await using cluster = await TwoServers.start();
    const [first, second] = cluster.servers;
    const predict = async (model?: string) => {
      const answers = await cluster.ask("POST", "/v1/predict", { ...PREDICTION, model });
      const [one, other] = await Promise.all(answers.map((answer) => answer.json()));
      deepStrictEqual(one, other);
      return one;
    };
    /** Waits until both servers know of a version of 'titles'; `soak:cluster` measures how soon. */
    const inForce = async (version: number, alias = "current") => {
      const deadline = performance.now() + 20_000;
      while (true) {
        const answers = await cluster.ask("GET", "/v1/models/titles");
        const models = await Promise.all(answers.map((answer) => answer.json()));
        const versions = models.map(({ current, aliases }) =>
          (alias === "current" ? current : aliases?.[alias])?.[0].version
        );
        if (versions.every((it) => it === version)) return;
        ok(performance.now() < deadline, versions.join());
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all(cluster.servers.map(({ ready }) => ready));
    await cluster.publish("titles", 1);
    await inForce(1);
    const before = await predict("titles");
    await cluster.publish("titles", 2);
    await inForce(2);
    notDeepStrictEqual((await predict("titles")).predictions, before.predictions);
    await request(first, "PUT", "/v1/models/titles/aliases/old", { version: 1 });
    await inForce(1, "old");
    deepStrictEqual((await predict("titles:old")).predictions, before.predictions);

    const created = await request(first, "POST", "/v1/runs", RUN);
    deepStrictEqual(created.status, 202);
    const { id } = await created.json();
    deepStrictEqual((await request(second, "POST", `/v1/runs/${id}/cancel`)).status, 202);
    const all = await (await request(second, "GET", `/v1/runs/${id}/events`)).text();
    const rest = await request(first, "GET", `/v1/runs/${id}/events`, undefined, {
      "Last-Event-ID": "1",
    });
    deepStrictEqual(all.match(/^id: .*$/gm), ["id: 1", "id: 2"]);
    ok(all.endsWith(await rest.text()));

    await cluster.nats.killNode(0);
    deepStrictEqual((await predict("titles")).model, "titles@2");
    for (const answer of await cluster.ask("POST", "/v1/runs", RUN)) {
      deepStrictEqual([answer.status, answer.headers.get("Retry-After")], [503, "1"]);
    }
    cluster.nats.startNode(0);
    const deadline = performance.now() + 20_000;
    for (const server of cluster.servers) {
      while ((await request(server, "POST", "/v1/runs", RUN)).status !== 202) {
        ok(performance.now() < deadline);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  },
});

/** The ids of a run's next events after `last`; closes the connection afterwards. */
async function eventIds(
  server: Service,
  run: string,
  last: number,
  count: number,
): Promise<number[]> {
  const headers = { "Last-Event-ID": String(last) };
  const path = `/v1/runs/${run}/events`;
  const { body } = await request(server, "GET", path, undefined, headers);
  const ids: number[] = [];
  for await (const text of body!.pipeThrough(new TextDecoderStream())) {
    ids.push(...text.matchAll(/^id: (\d+)$/gm).map(([, id]) => Number(id)));
    if (ids.length >= count) break;
  }
  return ids;
}

Deno.test({
  ...clusterTest,
  name: "a client of events that changes servers again and again gets each once, in order",
  fn: async () => {
    await using cluster = await TwoServers.start();
    const [first] = cluster.servers;
    const { id } = await (await request(first, "POST", "/v1/runs", RUN)).json();
    const event: StateEvent = { type: "state", state: "queued" };
    const writing = (async () => {
      for (let i = 0; i < 60; i++) await cluster.store.append(id, event);
      await cluster.store.setState(id, "cancelled");
    })();
    const seen: number[] = [];
    for (let turn = 0; seen.length < 62; turn++) {
      const server = cluster.servers[turn % 2]!;
      seen.push(...await eventIds(server, id, seen.at(-1) ?? 0, 1 + turn % 5));
    }
    await writing;
    deepStrictEqual(seen, Array.from({ length: 62 }, (_, i) => i + 1));
  },
});

Deno.test({
  ...clusterTest,
  name: "keys of a canary fall on the same version on every server",
  fn: async () => {
    await using cluster = await TwoServers.start();
    const [first, second] = cluster.servers;
    await Promise.all(cluster.servers.map(({ ready }) => ready));
    await cluster.publish("titles", 1);
    await cluster.publish("titles", 2);
    const versions = [{ version: 1, weight: 3 }, { version: 2, weight: 1 }];
    const isSet = async (server: Service) => {
      const path = "/v1/models/titles/aliases/canary";
      return (await request(server, "PUT", path, { versions })).status === 200;
    };
    while (!await isSet(first)) await new Promise((resolve) => setTimeout(resolve, 50));
    const versionOf = async (server: Service, key: string): Promise<string> => {
      const body = { ...PREDICTION, model: "titles:canary" };
      const headers = { "X-Routing-Key": key };
      return (await (await request(server, "POST", "/v1/predict", body, headers)).json()).model;
    };
    while (await versionOf(second, "any") === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const keys = Array.from({ length: 20 }, (_, i) => `user ${i}`);
    const chosen: string[] = [];
    for (const key of keys) {
      const model = await versionOf(first, key);
      deepStrictEqual(await versionOf(second, key), model);
      chosen.push(model);
    }
    deepStrictEqual([...new Set(chosen)].sort(), ["titles@1", "titles@2"]);
  },
});
