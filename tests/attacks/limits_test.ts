/**
 * Simultaneous requests: a limit holds for all of them together.
 *
 * @module
 */
import { deepStrictEqual, strictEqual } from "node:assert";
import { apiKey } from "../../routes/access.ts";
import { LocalServer } from "../support/local_server.ts";

const RUN = { dataset: "sample", model: "scratch:tiny" };

Deno.test("no more runs and evaluations wait than may, however many come at once", async () => {
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    supervisorOptions: { workers: 0 },
  });
  const answers = await Promise.all(Array.from({ length: 140 }, async (_, i) => {
    const [path, body] = i % 2 === 0
      ? ["/v1/runs", RUN]
      : ["/v1/evaluations", { dataset: "sample", model: "titles" }];
    const response = await server.send("POST", path, body);
    await response.body?.cancel();
    return response.status;
  }));
  deepStrictEqual(answers.filter((status) => status === 202).length, 100);
  deepStrictEqual(answers.filter((status) => status === 429).length, 40);
  const { runs: [run] } = await (await server.app.request("/v1/runs")).json();
  await server.post(`/v1/runs/${run.id}/cancel`, {}, 202);
  await server.post("/v1/runs", RUN, 202);
  await server.post(`/v1/runs/${run.id}/resume`, {}, 429);
});

Deno.test("an Idempotency-Key belongs to an API key", async () => {
  await using server = await LocalServer.start({
    apiKeys: [apiKey("one", "1"), apiKey("two", "2")],
    supervisorOptions: { workers: 0 },
  });
  const create = async (key: string, body: object = RUN) => {
    const headers = { Authorization: `Bearer ${key}`, "Idempotency-Key": "same" };
    const response = await server.send("POST", "/v1/runs", body, headers);
    return { status: response.status, id: (await response.json()).id };
  };
  const first = await create("1");
  deepStrictEqual(await create("1"), first);
  const other = await create("2", { ...RUN, epochs: 1 });
  strictEqual(other.status, 202);
  strictEqual(other.id === first.id, false);
  strictEqual((await create("1", { ...RUN, epochs: 1 })).status, 409);
});
