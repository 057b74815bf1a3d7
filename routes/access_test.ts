import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { Hono } from "hono";
import {
  accessCheck,
  apiKey,
  ApiKeyFile,
  apiKeysOf,
  isLoopback,
  RateLimit,
  refuseForeignHost,
  refuseForeignOrigins,
  type Scope,
} from "./access.ts";
import { answerErrors } from "./errors.ts";

const KEY_FILE = ApiKeyFile.parse({
  keys: [{
    name: "reader",
    sha256: createHash("sha256").update("read").digest("hex"),
    scopes: ["predict"],
    requests_per_minute: 3,
  }],
});

type Guarded = Hono<{ Variables: { apiKey?: string } }>;

function guarded(): Guarded {
  const app: Guarded = new Hono();
  const checkAccess = accessCheck([apiKey("owner", "own"), ...apiKeysOf(KEY_FILE)], undefined);
  app.onError(answerErrors((message) => message));
  app.post("/:scope", async (context) => {
    await checkAccess(context, context.req.param("scope") as Scope);
    return context.text(context.get("apiKey") ?? "nobody");
  });
  return app;
}

async function ask(app: Guarded, method: string, path: string, authorization?: string) {
  const headers: HeadersInit = authorization === undefined ? {} : { Authorization: authorization };
  const response = await app.request(path, { method, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

Deno.test("accessCheck() asks for a key that is known", async () => {
  for (const given of [undefined, "Bearer ", "Bearer owner", "Bearer ow", "own", "Basic own"]) {
    const { status, headers } = await ask(guarded(), "POST", "/predict", given);
    deepStrictEqual([status, headers.get("WWW-Authenticate")], [401, "Bearer"]);
  }
  strictEqual((await ask(guarded(), "POST", "/predict", "Bearer own")).text, "owner");
  strictEqual((await ask(guarded(), "POST", "/predict", "bearer read")).text, "reader");
});

Deno.test("accessCheck() says whether a key is missing or wrong", async () => {
  match((await ask(guarded(), "POST", "/predict")).text, /An API key is needed/);
  match(
    (await ask(guarded(), "POST", "/predict", "Bearer other")).text,
    /The API key is not known/,
  );
});

Deno.test("accessCheck() answers wrong keys later and later, and right ones at once", async () => {
  const app = guarded();
  for (let i = 0; i < 60; i++) await ask(app, "POST", "/predict", `Bearer wrong ${i}`);
  const order: string[] = [];
  const given = async (key: string) => {
    await ask(app, "POST", "/predict", `Bearer ${key}`);
    order.push(key);
  };
  await Promise.all([given("wrong"), given("own")]);
  deepStrictEqual(order, ["own", "wrong"]);
});

Deno.test("accessCheck() refuses a key that lacks the scope", async () => {
  const { status, text } = await ask(guarded(), "POST", "/manage", "Bearer read");
  deepStrictEqual([status, JSON.parse(text).error], [403, "The API key lacks the scope 'manage'"]);
  strictEqual((await ask(guarded(), "POST", "/manage", "Bearer own")).text, "owner");
});

Deno.test("accessCheck() limits how often a key may ask, by itself", async () => {
  const app = guarded();
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    statuses.push((await ask(app, "POST", "/predict", "Bearer read")).status);
  }
  deepStrictEqual(statuses, [200, 200, 200, 429]);
  const refused = await ask(app, "POST", "/predict", "Bearer read");
  ok(Number(refused.headers.get("Retry-After")) >= 1);
  strictEqual((await ask(app, "POST", "/predict", "Bearer own")).status, 200);
});

Deno.test("RateLimit lets no more through than a full bucket and what flows in", () => {
  const waits = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 200 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 100 }), waits, (perMinute, waits) => {
    const limit = new RateLimit(perMinute);
    let now = 0;
    let taken = 0;
    for (const wait of waits) {
      now += wait;
      const seconds = limit.take(now);
      if (seconds === 0) taken++;
      else strictEqual(limit.take(now + seconds * 1000 + 1), 0, "after the wait there is one");
      if (seconds > 0) {
        now += seconds * 1000 + 1;
        taken++;
      }
    }
    ok(taken <= perMinute * (1 + now / 60_000) + 1e-6);
  }));
});

Deno.test("isLoopback() knows the addresses of this machine", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"]) ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "192.168.0.1", "127.0.0.1.example.com", "1127.0.0.1"]) {
    ok(!isLoopback(host), host);
  }
});

Deno.test("ApiKeyFile without a key is refused: it would let everyone in", () => {
  strictEqual(ApiKeyFile.safeParse({ keys: [] }).success, false);
});

Deno.test("refuseForeignHost() answers to this machine's own names alone", async () => {
  const app = new Hono().use(refuseForeignHost).get("/", (context) => context.text("here"));
  const status = async (url: string) => (await app.request(url)).status;
  for (const host of ["localhost:8000", "127.0.0.1", "[::1]:8000"]) {
    strictEqual(await status(`http://${host}/`), 200, host);
  }
  for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8000"]) {
    strictEqual(await status(`http://${host}/`), 403, host);
  }
});

Deno.test("refuseForeignOrigins() refuses other sites, and an origin that is none", async () => {
  const app = new Hono().use(refuseForeignOrigins([])).get("/", (context) => context.text("here"));
  const status = async (headers: HeadersInit) => (await app.request("/", { headers })).status;
  strictEqual(await status({ Host: "localhost:8000" }), 200);
  strictEqual(await status({ Host: "localhost:8000", Origin: "http://localhost:8000" }), 200);
  strictEqual(await status({ Host: "localhost:8000", Origin: "https://example.com" }), 403);
  strictEqual(await status({ Host: "localhost:8000", Origin: "null" }), 403);
  strictEqual(await status({ Origin: "null" }), 403);
});
