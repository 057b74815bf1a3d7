import { deepStrictEqual, match, strictEqual } from "node:assert";
import { apiKey } from "./access.ts";
import { LocalServer } from "../tests/support/local_server.ts";

const ORIGIN = "http://localhost";
const OWN = { Host: "localhost", Origin: ORIGIN };

async function withKeys() {
  const reader = { ...apiKey("reader", "look"), scopes: ["predict"] as const };
  return await LocalServer.start({
    apiKeys: [apiKey("all", "everything"), reader],
    supervisorOptions: { workers: 0 },
  });
}

/** The cookie of a session, as a browser sends it back. */
async function cookieOf(server: LocalServer, key: string): Promise<string> {
  const response = await server.send("POST", "/v1/session", { api_key: key }, OWN);
  strictEqual(response.status, 200);
  const cookie = response.headers.get("Set-Cookie")!;
  match(cookie, /; HttpOnly/i);
  match(cookie, /; SameSite=Strict/i);
  return cookie.split(";")[0]!;
}

Deno.test("a session stands for its key, until it is ended", async () => {
  await using server = await withKeys();
  const Cookie = await cookieOf(server, "everything");
  const list = async (headers: HeadersInit) =>
    (await server.app.request("/v1/runs", { headers })).status;
  strictEqual(await list({}), 401);
  strictEqual(await list({ Cookie }), 200);
  strictEqual(await list({ Cookie: `${Cookie}x` }), 401);
  const session = async () =>
    await (await server.app.request("/v1/session", { headers: { Cookie } })).json();
  deepStrictEqual(await session(), {
    needs_key: false,
    name: "all",
    scopes: ["predict", "manage"],
  });
  await server.send("DELETE", "/v1/session", undefined, { Cookie, ...OWN });
  strictEqual(await list({ Cookie }), 401);
  strictEqual((await session()).needs_key, true);
});

Deno.test("a session changes nothing for another site, nor for a request from nowhere", async () => {
  await using server = await withKeys();
  const Cookie = await cookieOf(server, "everything");
  const create = async (headers: HeadersInit) =>
    (await server.send("POST", "/v1/runs", { dataset: "sample" }, { Cookie, ...headers })).status;
  strictEqual(await create({}), 403);
  strictEqual(await create({ Host: "localhost", Origin: "http://evil.example" }), 403);
  strictEqual(await create(OWN), 202);
});

Deno.test("a session has the scopes of its key, and a wrong key begins none", async () => {
  await using server = await withKeys();
  const Cookie = await cookieOf(server, "look");
  const get = async (path: string) =>
    (await server.app.request(path, { headers: { Cookie } })).status;
  strictEqual(await get("/v1/models"), 200);
  strictEqual(await get("/v1/runs"), 403);
  const wrong = await server.send("POST", "/v1/session", { api_key: "guess" }, OWN);
  strictEqual(wrong.status, 401);
  strictEqual(wrong.headers.get("Set-Cookie"), null);
});

Deno.test("a server without keys lets its page do everything", async () => {
  await using server = await LocalServer.start();
  deepStrictEqual(await (await server.app.request("/v1/session")).json(), {
    needs_key: false,
    name: null,
    scopes: ["predict", "manage"],
  });
});
