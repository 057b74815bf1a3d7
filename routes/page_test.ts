import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { Hono } from "hono";
import { createRouter } from "./router.ts";
import { pageRoutes } from "./page.ts";
import { LocalServer } from "../tests/support/local_server.ts";

/** The most bytes that the first page may send. */
const MAX_BYTES = 250_000;

Deno.test("the page and its files come compressed, from here alone, and are not sent twice", async () => {
  const app = createRouter().route("/", pageRoutes());
  let sentBytes = 0;
  for (
    const [path, type] of [
      ["/", "text/html"],
      ["/ui/app.js", "text/javascript"],
      ["/ui/app.css", "text/css"],
      ["/ui/icon.svg", "image/svg+xml"],
    ] as const
  ) {
    const response = await app.request(path, { headers: { "Accept-Encoding": "gzip" } });
    strictEqual(response.status, 200);
    ok(response.headers.get("Content-Type")?.startsWith(type));
    match(
      response.headers.get("Content-Security-Policy")!,
      /default-src 'none'; script-src 'self'/,
    );
    doesNotMatch(response.headers.get("Content-Security-Policy")!, /unsafe|\*|https?:/);
    sentBytes += (await response.bytes()).length;
    const etag = response.headers.get("ETag")!;
    const again = await app.request(path, { headers: { "If-None-Match": etag } });
    strictEqual(again.status, 304);
  }
  ok(sentBytes < MAX_BYTES, `${sentBytes} bytes`);
});

Deno.test("the page has no script or style of its own, and names no other host", async () => {
  const page = await Deno.readTextFile(new URL("../web/index.html", import.meta.url));
  doesNotMatch(page, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?:/);
});

Deno.test("a page that is mounted elsewhere stands at a path that ends in a slash", async () => {
  const app = new Hono().route("/graft", createRouter().route("/", pageRoutes()));
  const response = await app.request("/graft");
  deepStrictEqual([response.status, response.headers.get("Location")], [302, "/graft/"]);
  match(await (await app.request("/graft/")).text(), /<title>Graft/);
  const asked = await app.request("/graft?a=b");
  deepStrictEqual(asked.headers.get("Location"), "/graft/?a=b");
  deepStrictEqual((await app.request("/graft/", { method: "HEAD" })).status, 200);
  const deeper = new Hono().route("/all", app);
  match(await (await deeper.request("/all/graft/")).text(), /<title>Graft/);
  deepStrictEqual((await app.request("/graft/ui/app.js")).status, 200);
  deepStrictEqual((await app.request("/graft/nothing")).status, 404);
});

Deno.test("a server without a page answers predictions at its place, and no GET", async () => {
  await using server = await LocalServer.start({ page: false, seeds: { titles: 1 } });
  strictEqual((await server.app.request("/")).status, 405);
  strictEqual((await server.app.request("/ui/app.js")).status, 404);
  await server.post("/", { inputs: "a duet" });
});
