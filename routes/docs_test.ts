import { match, strictEqual } from "node:assert";
import { addDocs } from "./docs.ts";
import { admitBy, createRouter, declareRoute } from "./router.ts";

Deno.test("addDocs() describes the routes once, however often they are asked for", async () => {
  const app = createRouter();
  app.use(admitBy({
    takeRequest: (_context, next) => next(),
    checkAccess: () => Promise.resolve(),
    limitPredictions: (_context, next) => next(),
    payloadLimitBytes: 0,
    maxItems: 0,
  }));
  const route = declareRoute({
    method: "get",
    path: "/here",
    operationId: "getHere",
    scope: null,
    summary: "Something <here>",
    responses: { 200: { description: "It" } },
  });
  app.openapi(route, (context) => context.text("it"));
  let described = 0;
  const describe = app.getOpenAPI31Document.bind(app);
  app.getOpenAPI31Document = (info) => {
    described++;
    return describe(info);
  };
  addDocs(app);
  for (let i = 0; i < 3; i++) {
    const json = await app.request("/openapi.json");
    match(json.headers.get("Content-Type")!, /^application\/json/);
    strictEqual((await json.json()).paths["/here"].get.summary, "Something <here>");
    const page = await app.request("/docs");
    match(page.headers.get("Content-Type")!, /^text\/html/);
    match(await page.text(), /GET \/here<\/code> Something &lt;here&gt;/);
  }
  strictEqual(described, 1);
});
