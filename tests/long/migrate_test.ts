import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { main } from "../../cli/main.ts";
import { Service } from "../../routes/service.ts";
import type { ServiceOptions } from "../../routes/service_options.ts";
import { writeModel } from "../support/local_server.ts";
import { clusterTest, NatsServers } from "../cluster/nats_servers.ts";

/** Everything that a server reports of its state. */
async function inventory(service: Service) {
  const get = async (path: string) => {
    const response = await service.app.request(`http://127.0.0.1${path}`);
    return response.headers.get("Content-Type")!.startsWith("application/json")
      ? await response.json()
      : await response.text();
  };
  const { models } = await get("/v1/models");
  const { runs } = await get("/v1/runs");
  const { datasets } = await get("/v1/datasets");
  const events = [];
  for (const { id } of runs) events.push(await get(`/v1/runs/${id}/history`));
  return {
    models: models.map(({ name, versions, current, aliases }: Record<string, unknown>) => ({
      name,
      versions: (versions as { version: number }[]).map(({ version }) => version),
      current,
      aliases,
    })),
    runs,
    events,
    datasets: datasets.map(({ created_at: _, ...dataset }: Record<string, unknown>) => dataset),
    prediction: await predict(service),
  };
}

async function send(
  service: Service,
  method: string,
  path: string,
  body: unknown,
): Promise<Response> {
  const init = { method, body: typeof body === "string" ? body : JSON.stringify(body) };
  return await service.app.request(`http://127.0.0.1${path}`, init);
}

async function predict(service: Service): Promise<unknown> {
  const body = { inputs: ["a duet for two pianos"], model: "titles:stable" };
  return (await (await send(service, "POST", "/v1/predict", body)).json()).predictions;
}

Deno.test({
  ...clusterTest,
  name: "migrate carries models, aliases, data sets and runs into a cluster, once",
  fn: async () => {
    const dir = await Deno.makeTempDir();
    try {
      await using nats = await NatsServers.start(1);
      const [runsDir, clusterDir] = [join(dir, "runs"), join(dir, "cluster")];
      const open = async (options: ServiceOptions) => {
        const service = await Service.open({ device: "wasm", page: false, workers: 0, ...options });
        await service.ready;
        return service;
      };
      let before: Awaited<ReturnType<typeof inventory>>;
      {
        await writeModel(join(runsDir, "titles"), 1);
        await using server = await open({ runsDir });
        await send(server, "PUT", "/v1/models/titles/aliases/stable", { version: 1 });
        const rows = Array.from({ length: 40 }, (_, i) => `text ${i},${i % 2 ? "a" : "b"}`);
        const csv = ["text,label", ...rows].join("\n");
        const sent = await server.app.request("http://127.0.0.1/v1/datasets?name=small", {
          method: "POST",
          body: csv,
          headers: { "Content-Type": "text/csv" },
        });
        deepStrictEqual(sent.status, 201);
        for (const max_steps of [5, 6]) {
          const run = { dataset: "small", model: "scratch:tiny", max_steps };
          const { id } = await (await send(server, "POST", "/v1/runs", run)).json();
          if (max_steps === 5) await send(server, "POST", `/v1/runs/${id}/cancel`, {});
        }
        before = await inventory(server);
      }
      await writeModel(join(runsDir, "unseen"), 2);
      const args = ["migrate", "--runs", runsDir, "--cluster", nats.servers];
      for (let again = 0; again < 2; again++) deepStrictEqual(await main(args), 0);
      await using server = await open({ runsDir: clusterDir, cluster: { servers: nats.servers } });
      const { models, ...rest } = await inventory(server);
      const unseen = { name: "unseen", versions: [1], current: [{ version: 1, weight: 1 }] };
      deepStrictEqual(models, [...before.models, { ...unseen, aliases: {} }]);
      const { models: _, ...expected } = before;
      deepStrictEqual(rest, expected);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
