/**
 * Every view with axe, in light and dark, and at the width of a phone.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { newRun } from "../../orchestration/run_store.ts";
import { LocalServer, writeModel } from "../support/local_server.ts";
import { hasBrowser, WatchedPage } from "./browser.ts";

const AXE = new URL(import.meta.resolve("axe-core/axe.min.js"));

const VIEWS = [
  "runs",
  "runs?state=failed&name=nothing",
  "runs/done",
  "runs/failed",
  "new",
  "compare?runs=done,failed",
  "models",
  "models/titles",
  "playground?text=a duet&models=titles",
  "evaluations",
  "data",
  "data/sample",
  "nowhere",
];

for (const colorScheme of ["light", "dark"] as const) {
  Deno.test({
    name: `axe finds nothing in any view, ${colorScheme}`,
    ignore: !hasBrowser,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
      await fill(server);
      const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, server.app.fetch);
      const url = `http://127.0.0.1:${http.addr.port}`;
      // The page's Trusted Types would keep axe out, which is injected by the debugger.
      await using watched = await WatchedPage.open(url, { colorScheme, bypassCSP: true });
      const { page } = watched;
      const axe = await Deno.readTextFile(AXE);
      const found: string[] = [];
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        for (const view of VIEWS) {
          await page.goto(`${url}/#/${view}`);
          await page.reload();
          await page.locator("h1, h2").first().waitFor();
          await page.waitForLoadState("networkidle").catch(() => {});
          await page.evaluate(axe);
          const { violations } = await page.evaluate("axe.run()") as AxeResult;
          for (const { id, nodes } of violations) {
            found.push(`${view} at ${width}: ${id} ${nodes.map(({ target }) => target).join(" ")}`);
          }
          const overflow = await page.evaluate(
            "document.documentElement.scrollWidth - innerWidth",
          ) as number;
          if (overflow > 0) found.push(`${view} at ${width} scrolls sideways by ${overflow}`);
        }
      }
      void http.shutdown();
      deepStrictEqual(found, []);
    },
  });
}

interface AxeResult {
  violations: { id: string; nodes: { target: string[] }[] }[];
}

/** Some runs and a model. */
async function fill(server: LocalServer): Promise<void> {
  const settings = { model: "scratch:tiny", mode: "full", epochs: 2 };
  const fields = { settings, base: "scratch:tiny", dataset: "sample" };
  await server.store.create(newRun({ id: "done", name: "titles", ...fields }));
  for (let step = 1; step <= 40; step++) {
    await server.store.append("done", {
      type: "step",
      step,
      epoch: step / 20,
      loss: 2 / step,
      grad_norm: 1 + step % 3,
      learning_rate: 1e-3,
      tokens_per_second: 900,
      seconds_left: 1,
    });
  }
  await server.store.setState("done", "succeeded");
  await writeModel(join(server.runsDir, "done"), 1);
  await server.models.setAlias("titles", "stable", [{ version: 1, weight: 1 }]);
  await server.store.create(newRun({ id: "failed", name: "broken", ...fields }));
  await server.store.setState("failed", "failed", { error: "the loss is no number" });
}
