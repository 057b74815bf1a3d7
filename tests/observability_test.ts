/**
 * The server's own account of itself: logs, the description of its routes, the page for people.
 *
 * @module
 */
import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { apiKey } from "../routes/access.ts";
import type { LogEntry } from "../routes/log.ts";
import { LocalServer } from "./support/local_server.ts";

Deno.test("each request is logged with its id, its key's name and what went wrong", async () => {
  const entries: LogEntry[] = [];
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    apiKeys: [apiKey("owner", "secret")],
    log: (entry) => entries.push(entry),
  });
  const headers = { Authorization: "Bearer secret", "X-Request-Id": "mine" };
  strictEqual((await server.send("POST", "/predict", { inputs: "a" }, headers)).status, 200);
  strictEqual((await server.send("POST", "/predict", { inputs: "" }, headers)).status, 422);
  strictEqual((await server.send("POST", "/predict", { inputs: "a" })).status, 401);
  deepStrictEqual(
    entries.map(({ request_id, key, status, error_type }) => [request_id, key, status, error_type]),
    [
      ["mine", "owner", 200, undefined],
      ["mine", "owner", 422, "validation"],
      [entries[2]!.request_id, undefined, 401, "unauthorized"],
    ],
  );
  match(entries[2]!.request_id, /^[0-9a-f-]{36}$/);
  doesNotMatch(JSON.stringify(entries), /secret/);

  await server.app.request("/nothing/at/all", { headers });
  const metrics = await (await server.app.request("/metrics", { headers })).text();
  match(metrics, /graft_requests_total{method="POST",route="\/predict",status="422"} 1/);
  match(metrics, /graft_requests_total{method="GET",route="none",status="404"} 1/);
  match(metrics, /graft_failures_total{error_type="validation"} 1/);
});

Deno.test("pages of other sites get nothing", async () => {
  await using server = await LocalServer.start();
  const headers = { Origin: "https://example.com" };
  const response = await server.app.request("/health", { headers });
  strictEqual(response.status, 403);
  strictEqual(response.headers.get("Access-Control-Allow-Origin"), null);
  const preflight = await server.app.request("/predict", { method: "OPTIONS", headers });
  strictEqual(preflight.status, 403);
});

Deno.test("pages of sites that were named may use the server", async () => {
  const site = "https://example.com";
  await using server = await LocalServer.start({ seeds: { titles: 1 }, corsOrigins: [site] });
  const headers = { Origin: site, "Access-Control-Request-Method": "POST" };
  const preflight = await server.app.request("/predict", { method: "OPTIONS", headers });
  deepStrictEqual([preflight.status, preflight.headers.get("Access-Control-Allow-Origin")], [
    204,
    site,
  ]);
  for (const [inputs, status] of [["a duet", 200], ["", 422]] as const) {
    const response = await server.send("POST", "/predict", { inputs }, { Origin: site });
    deepStrictEqual([response.status, response.headers.get("Access-Control-Allow-Origin")], [
      status,
      site,
    ]);
  }
  const other = await server.send("POST", "/predict", { inputs: "a" }, { Origin: "https://b.com" });
  strictEqual(other.status, 403);
});

Deno.test("/openapi.json describes every route, and /docs shows it without a network", async () => {
  await using server = await LocalServer.start();
  const { openapi, paths } = await (await server.app.request("/openapi.json")).json();
  strictEqual(openapi, "3.1.0");
  const described = new Set(
    Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
    ),
  );
  const served = server.app.routes
    // Middleware is for all methods; the page for people is nothing for other programs.
    .filter(({ method, path }) => method !== "ALL" && !/^\/(ui\/.*)?$/.test(path))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  deepStrictEqual([...new Set(served)].filter((route) => !described.has(route)), []);
  ok(described.size >= 20);

  const page = await (await server.app.request("/docs")).text();
  for (const route of described) ok(page.includes(`<code>${route}</code>`), route);
  doesNotMatch(page, /(src|href)="(https?:)?\/\//);
});
