import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { ClusterMember } from "../../orchestration/cluster/member.ts";
import { Service } from "../../routes/service.ts";
import { writeModel } from "../local_server.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

/** Two servers of a cluster, and one who publishes models. */
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

  /** What both answer to the same request, the first server first. */
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
    /** Waits until both servers know of a version of 'titles', which takes no more than a second. */
    const inForce = async (version: number, alias = "current") => {
      const deadline = performance.now() + 1000;
      while (true) {
        const answers = await cluster.ask("GET", "/v1/models/titles");
        const models = await Promise.all(answers.map((answer) => answer.json()));
        const versions = models.map(({ current, aliases }) =>
          (alias === "current" ? current : aliases?.[alias])?.[0].version
        );
        if (versions.every((it) => it === version)) return;
        ok(performance.now() < deadline, versions.join());
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
