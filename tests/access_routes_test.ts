/**
 * Who may use which route: as it is described, and no other way.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { apiKey } from "../routes/access.ts";
import { LocalServer } from "./support/local_server.ts";

interface Operation {
  security?: { bearer: string[] }[];
  responses: Record<string, unknown>;
}

const ALL_KEYS = [
  apiKey("owner", "own"),
  { ...apiKey("reader", "read"), scopes: ["predict"] as const },
  { ...apiKey("manager", "manage"), scopes: ["manage"] as const },
];

Deno.test("each route asks for the scope that its description names", async () => {
  await using server = await LocalServer.start({ apiKeys: ALL_KEYS });
  const { paths } = await (await server.app.request("/openapi.json")).json();
  const operations = Object.entries(paths as Record<string, Record<string, Operation>>)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path: path.replaceAll(/\{\w+\}/g, "none"),
        method: method.toUpperCase(),
        ...operation,
      }))
    );
  ok(operations.length > 30);
  const open: string[] = [];
  for (const { path, method, security, responses } of operations) {
    const route = `${method} ${path}`;
    const scope = security?.[0]?.bearer[0];
    if (scope === undefined) {
      deepStrictEqual(security, [], route);
      open.push(route);
    }
    const status = async (key?: string) => {
      const headers: HeadersInit = key === undefined ? {} : { Authorization: `Bearer ${key}` };
      const response = await server.app.request(path, { method, headers });
      await response.body?.cancel();
      ok(String(response.status) in responses, `${route} answered ${response.status}`);
      return response.status;
    };
    strictEqual(await status() === 401, scope !== undefined, route);
    strictEqual(await status("wrong") === 401, scope !== undefined, route);
    strictEqual(await status("read") === 403, scope === "manage", route);
    strictEqual(await status("manage") === 403, scope === "predict", route);
    ok(![401, 403].includes(await status("own")), route);
  }
  deepStrictEqual(open.sort(), [
    "DELETE /v1/session",
    "GET /docs",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /openapi.json",
    "GET /v1/session",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "POST /v1/session",
  ]);
});

Deno.test("a key that predicts can neither train nor change models", async () => {
  await using server = await LocalServer.start({ apiKeys: ALL_KEYS });
  const headers = { Authorization: "Bearer read" };
  for (
    const [method, path, refused] of [
      ["GET", "/metrics", false],
      ["HEAD", "/v1/models", false],
      ["POST", "/predict", false],
      ["POST", "/v2/models/a/versions/1/infer", false],
      ["GET", "/v1/runs", true],
      ["POST", "/v1/runs", true],
      ["POST", "/v1/datasets", true],
      ["PUT", "/v1/models/a/aliases/b", true],
      ["DELETE", "/v1/models/a", true],
    ] as const
  ) {
    const { status, body } = await server.app.request(path, { method, headers });
    await body?.cancel();
    strictEqual(status === 403, refused, `${method} ${path}: ${status}`);
  }
});

Deno.test("a path that does not take a method says which it takes", async () => {
  await using server = await LocalServer.start();
  for (
    const [method, path, allow] of [
      ["GET", "/predict", "POST, OPTIONS"],
      ["PUT", "/", "GET, POST, HEAD, OPTIONS"],
      ["PATCH", "/v1/models/a", "GET, DELETE, HEAD, OPTIONS"],
      ["POST", "/health", "GET, HEAD, OPTIONS"],
      ["DELETE", "/v1/runs", "GET, POST, HEAD, OPTIONS"],
      ["BREW", "/v1/models/a/aliases/b", "PUT, DELETE, OPTIONS"],
    ] as const
  ) {
    const response = await server.app.request(path, { method });
    strictEqual(response.status, 405, `${method} ${path}`);
    strictEqual(response.headers.get("Allow"), allow);
    const { error_type } = await response.json();
    strictEqual(error_type, "method_not_allowed");
  }
  for (const path of ["/nothing", "/v1", "/v1/models/a/b"]) {
    const response = await server.app.request(path, { method: "POST" });
    await response.body?.cancel();
    deepStrictEqual([response.status, response.headers.get("Allow")], [404, null], path);
  }
});
