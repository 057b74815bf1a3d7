/**
 * The page in a browser: the way from a file to a model, and its behaviour when something fails.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { SAMPLE_DIR } from "../../data/dataset.ts";
import { newRun } from "../../orchestration/run_store.ts";
import { apiKey } from "../../routes/access.ts";
import {
  copyModel,
  LocalServer,
  type LocalServerOptions,
  writeModel,
} from "../support/local_server.ts";
import { address } from "../support/server_process.ts";
import { hasBrowser, WatchedPage } from "./browser.ts";

/** An application that listens. */
async function serve(options: LocalServerOptions = {}) {
  const server = await LocalServer.start(options);
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, server.app.fetch);
  const url = `http://127.0.0.1:${http.addr.port}`;
  return {
    server,
    url,
    async [Symbol.asyncDispose]() {
      // Streams of events go on as long as the page follows them.
      void http.shutdown();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A test that needs a browser; resources that remain belong to the browser. */
function testPage(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  const ignore = !hasBrowser;
  Deno.test({ name, ignore, sanitizeOps: false, sanitizeResources: false, fn });
}

testPage(
  "from a file to a model: upload, audit, train, watch, look at mistakes, try, divide",
  async () => {
    await using served = await serve();
    const { server, url } = served;
    await using watched = await WatchedPage.open(`${url}/#/data`);
    const { page } = watched;
    await page.setInputFiles("input[type=file]", join(SAMPLE_DIR, "train_simple.csv"));
    await page.getByRole("button", { name: "Split and audit" }).click();
    await page.getByText("Baselines to beat").waitFor();
    deepStrictEqual(await server.datasets.names(), ["sample"]);
    await page.getByLabel("Name").fill("mine");
    await page.getByRole("button", { name: "Save the data set" }).click();
    await page.getByRole("link", { name: "Train on it" }).click();

    await page.getByLabel("name", { exact: true }).fill("titles");
    await page.getByLabel("model", { exact: true }).fill("scratch:tiny");
    await page.getByText("More settings").click();
    await page.getByLabel("max steps").fill("30");
    await page.getByLabel("threads").fill("1");
    await page.getByRole("button", { name: "Start training" }).click();
    await page.getByRole("heading", { name: "titles" }).waitFor();
    await page.getByText("Gradient norm").waitFor({ timeout: 60_000 });
    await page.getByRole("heading", { name: "Result" }).waitFor({ timeout: 60_000 });
    strictEqual((await server.store.list())[0]!.state, "succeeded");

    await page.getByRole("link", { name: "Look at its mistakes" }).click();
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByRole("heading", { name: "Confusion matrix" }).waitFor({
      timeout: 60_000,
    });
    const cell = page.getByRole("button", { name: / predicted as .*: [1-9]/ }).first();
    const [, label, predicted, count] = /^(.*) predicted as (.*): (\d+)/
      .exec(await cell.getAttribute("aria-label") ?? "")!;
    await cell.click();
    await page.getByText(`${count} matching`).waitFor();
    const first = page.locator("table.texts tbody tr").first();
    deepStrictEqual(
      [await first.locator("td").nth(1).innerText(), await first.locator("td").nth(2).innerText()]
        .map((text) => text.split("\n")[0]),
      [label, predicted],
    );

    await page.getByRole("link", { name: "Playground" }).click();
    await page.getByRole("heading", { name: "Playground" }).waitFor();
    await page.getByLabel("Text").fill("How to bake bread");
    await page.locator(".scores .first").waitFor();

    await page.getByRole("link", { name: "Models" }).click();
    await page.getByRole("link", { name: "titles" }).click();
    await page.getByRole("button", { name: "New alias" }).click();
    await page.getByRole("button", { name: "Point it at @1" }).click();
    await page.getByText(":stable").waitFor();
    deepStrictEqual((await server.models.model("titles")).aliases.get("stable")!.length, 1);
    deepStrictEqual(watched.faults, []);
  },
);

testPage("the shares of an alias are moved with the keyboard", async () => {
  await using served = await serve();
  const { server, url } = served;
  for (const id of ["one", "two"]) {
    const fields = { name: "titles", settings: {}, base: "bundled", dataset: "sample" };
    await server.store.create(newRun({ id, ...fields, state: "succeeded" }));
    await writeModel(join(server.runsDir, id), 1);
  }
  await server.models.setAlias("titles", "stable", [{ version: 1, weight: 1 }]);
  await using watched = await WatchedPage.open(`${url}/#/models/titles`);
  const { page } = watched;
  const slider = page.getByRole("slider", { name: "@2" });
  await slider.focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
  await page.getByRole("button", { name: "Save the shares" }).click();
  await page.getByRole("button", { name: "Save the shares" }).and(page.locator(":disabled"))
    .waitFor();
  const weights = (await server.models.model("titles")).aliases.get("stable")!;
  deepStrictEqual(weights.toSorted((a, b) => a.version - b.version), [
    { version: 1, weight: 95 },
    { version: 2, weight: 5 },
  ]);
  deepStrictEqual(watched.faults, []);
});

testPage("a search for settings is asked for in the form, and its trials are shown", async () => {
  await using served = await serve({ supervisorOptions: { workers: 0 } });
  const { server, url } = served;
  await using watched = await WatchedPage.open(`${url}/#/new`);
  const { page } = watched;
  const trials = page.getByLabel("trials", { exact: true });
  await trials.fill("1");
  await page.locator("#setting-trials-error, .field-error").first().waitFor();
  await trials.fill("3");
  await page.getByRole("button", { name: "Start training" }).click();
  await page.getByRole("heading", { name: "Trials" }).waitFor();
  const [run] = await server.store.list();
  strictEqual(run!.tuning!.trials.length, 3);

  const interval: [number, number] = [0.4, 0.6];
  const results = [{ trial: 1, share: 0.25, steps: 9, seconds: 3, value: 0.5, interval }];
  await server.store.change(run!.id, () => ({ tuning: { ...run!.tuning!, results, best: 1 } }));
  await page.getByRole("row", { name: "2, the best" }).getByText("0.500").waitFor();
  deepStrictEqual(watched.faults, []);
});

testPage("each of many models can be asked and measured with the keyboard", async () => {
  await using served = await serve({ seeds: { "model-0": 1 } });
  const { server, url } = served;
  const first = join(server.runsDir, "model-0");
  for (let i = 1; i < 220; i++) await copyModel(first, join(server.runsDir, `model-${i}`));
  await using watched = await WatchedPage.open(`${url}/#/playground?text=a%20duet`);
  const { page } = watched;
  await page.getByLabel("Another model").focus();
  await page.keyboard.type("model-99");
  // The last names of the list come from the server as one types.
  await page.locator('datalist option[value="model-99"]').waitFor({ state: "attached" });
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "model-99@1" }).waitFor();
  await page.getByRole("heading", { name: "model-0@1" }).waitFor();

  await page.goto(`${url}/#/evaluations?model=model-98`);
  strictEqual(await page.getByLabel("Measure").inputValue(), "model-98");
  await page.getByLabel("Measure").fill("model-219");
  await page.locator('datalist option[value="model-219@1"]').waitFor({ state: "attached" });
  deepStrictEqual(watched.faults, []);
});

testPage("a run that is stopped is seen stopped within two seconds", async () => {
  await using served = await serve();
  const { server, url } = served;
  const request = { dataset: "sample", model: "scratch:tiny", epochs: 500, threads: 1 };
  const { id } = await server.post<{ id: string }>("/v1/runs", request, 202);
  await using watched = await WatchedPage.open(`${url}/#/runs/${id}`);
  const { page } = watched;
  await page.getByText("Gradient norm").waitFor({ timeout: 60_000 });
  const startedAt = performance.now();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.locator("h1 .badge.cancelled").waitFor();
  const seconds = (performance.now() - startedAt) / 1000;
  ok(seconds < 2, `${seconds} s`);
  await page.getByRole("button", { name: "Resume" }).waitFor();
  deepStrictEqual(watched.faults, []);
});

testPage("a wrong key opens nothing, and one for predictions the playground alone", async () => {
  const reader = { ...apiKey("reader", "look"), scopes: ["predict"] as const };
  await using served = await serve({
    apiKeys: [apiKey("all", "everything"), reader],
    seeds: { titles: 1 },
  });
  await using watched = await WatchedPage.open(`${served.url}/`);
  const { page } = watched;
  const signIn = async (key: string) => {
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn("guess");
  await page.getByText("There is no such key").waitFor();
  await signIn("look");
  await page.getByRole("heading", { name: "Playground" }).waitFor();
  deepStrictEqual(await page.locator("nav a").allInnerTexts(), ["Playground"]);
  await page.reload();
  await page.getByRole("heading", { name: "Playground" }).waitFor();
  strictEqual(await page.evaluate("document.cookie"), "");
  await page.getByRole("button", { name: "Sign out" }).click();
  // The field of the key has the focus.
  await page.getByLabel("API key").and(page.locator(":focus")).waitFor();
  await page.keyboard.type("everything");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  // An answer that there is nothing is an answer.
  const history = page.waitForResponse(/nothing\/history/);
  await page.evaluate("location.hash = '#/runs/nothing'");
  await history;
  await page.getByText("There is no run 'nothing'").waitFor();
  strictEqual(await page.locator(".offline").count(), 0);
  deepStrictEqual(watched.faults, []);
});

testPage(
  "a server that is started anew asks for the key again, and the view comes back",
  async () => {
    const options = { apiKeys: [apiKey("all", "everything")], seeds: { titles: 1 } };
    await using first = await LocalServer.start(options);
    await using second = await LocalServer.start(options);
    let server = first;
    const http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => server.app.fetch(request),
    );
    await using watched = await WatchedPage.open(
      `http://127.0.0.1:${http.addr.port}/#/models/titles`,
    );
    const { page } = watched;
    const signIn = async () => {
      await page.getByLabel("API key").fill("everything");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("heading", { name: "titles" }).waitFor();
    };
    await page.getByText("This server asks for an API key").waitFor();
    await signIn();
    server = second;
    await page.getByText("Please sign in again").waitFor();
    await signIn();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("This server asks for an API key").waitFor();
    deepStrictEqual(watched.faults, []);
    void http.shutdown();
  },
);

testPage("a model goes with its run's files where that is asked for", async () => {
  await using served = await serve();
  const { server, url } = served;
  const fields = { settings: {}, base: "bundled", dataset: "sample" };
  await server.store.create(newRun({ id: "one", name: "titles", ...fields, state: "succeeded" }));
  await writeModel(join(server.runsDir, "one"), 1);
  await using watched = await WatchedPage.open(`${url}/#/models/titles`);
  const { page } = watched;
  await page.getByRole("button", { name: "Serve it no more" }).click();
  await page.getByLabel("Delete its run too").check();
  await page.getByRole("button", { name: "Delete it with its files" }).click();
  await page.getByText("There is no model yet").waitFor();
  deepStrictEqual(await server.store.list(), []);
  deepStrictEqual(await Array.fromAsync(Deno.readDir(server.runsDir)), []);
  deepStrictEqual(watched.faults, []);
});

testPage("a table is read anew with the encoding and delimiter that are chosen", async () => {
  await using served = await serve();
  await using watched = await WatchedPage.open(`${served.url}/#/data`);
  const { page } = watched;
  const rows = Array.from(
    { length: 30 },
    (_, i) => `Caf\u00e9, bar ${i};${i % 2 ? "ja" : "nein"}\n`,
  );
  await page.setInputFiles("input[type=file]", {
    name: "latin.csv",
    mimeType: "text/csv",
    buffer: Buffer.from(["text;label\n", ...rows].join(""), "latin1"),
  });
  await page.getByText("Cannot read 'latin.csv' line 2: it is not UTF-8").waitFor();
  await page.getByLabel("Encoding").selectOption("windows-1252");
  await page.getByText("Caf\u00e9, bar 0").waitFor();
  await page.getByLabel("Between fields").selectOption("|");
  await page.getByRole("columnheader", { name: "text;label" }).waitFor();
  await page.getByLabel("Between fields").selectOption(";");
  await page.getByRole("button", { name: "Split and audit" }).click();
  await page.getByText("Baselines to beat").waitFor();
  deepStrictEqual(watched.faults, []);
});

testPage("a run of the command line is shown, with the command that goes on with it", async () => {
  await using served = await serve();
  const { server, url } = served;
  const dir = join(server.runsDir, "mine");
  await Deno.mkdir(dir);
  const args = { data: "/data/titles", problem_type: "single_label_classification" };
  await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
  const course = { epoch: 1, global_step: 50, max_steps: -1, num_train_epochs: 2 };
  const step = { step: 50, epoch: 1, loss: 0.7, grad_norm: 1, learning_rate: 1e-3 };
  await Deno.writeTextFile(
    join(dir, "trainer_state.json"),
    JSON.stringify({ ...course, best_global_step: null, log_history: [step] }),
  );
  await using watched = await WatchedPage.open(`${url}/#/runs`);
  const { page } = watched;
  await page.getByRole("link", { name: "mine" }).click();
  await page.locator("h1 .badge").getByText("stopped").waitFor();
  await page.getByText("train --resume --out").waitFor();
  await page.getByText("50 of 100").waitFor();
  strictEqual(await page.getByRole("button", { name: "Stop" }).count(), 0);
  deepStrictEqual(watched.faults, []);
});

const HOSTILE =
  `<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202e\u05e9\u05dc\u05d5\u05dd`;

testPage("hostile texts in cells, labels, names and errors are shown as texts", async () => {
  await using served = await serve({ supervisorOptions: { workers: 0 } });
  const { server, url } = served;
  const rows = Array.from(
    { length: 40 },
    (_, i) =>
      `"${i} ${HOSTILE.replaceAll('"', '""')}","${
        i % 2 === 0 ? "<b>bold</b>" : HOSTILE.replaceAll('"', '""')
      }"\n`,
  );
  const body = ["<i>text</i>,label\n", ...rows].join("");
  await using watched = await WatchedPage.open(`${url}/#/data`);
  const { page } = watched;
  await page.setInputFiles("input[type=file]", {
    name: `${HOSTILE.replaceAll("/", "")}.csv`,
    mimeType: "text/csv",
    buffer: Buffer.from(body),
  });
  await page.locator("#column-text").selectOption("<i>text</i>");
  await page.getByRole("button", { name: "Split and audit" }).click();
  await page.getByText("Baselines to beat").waitFor();
  await page.getByLabel("Name").fill("hostile");
  await page.getByRole("button", { name: "Save the data set" }).click();
  await page.getByText("<b>bold</b>").first().waitFor();

  const fields = { settings: { model: HOSTILE, mode: HOSTILE }, base: HOSTILE, dataset: HOSTILE };
  await server.store.create(newRun({ id: "run", name: HOSTILE, ...fields }));
  await server.store.setState("run", "failed", { error: HOSTILE });
  await writeModel(join(server.runsDir, "<img src=x onerror=alert(3)>"), 1);
  for (
    const path of ["runs", "runs/run", "models", `playground?text=${encodeURIComponent(HOSTILE)}`]
  ) {
    await page.goto(`${url}/#/${path}`);
    await page.getByText(/<script>|<img/).first().waitFor();
  }
  strictEqual(
    await page.locator("main img, main b, main script, main i:not([class]):not([aria-hidden])")
      .count(),
    0,
  );
  deepStrictEqual(watched.faults, []);
});

testPage("a server that is killed and comes back is shown as it is", async () => {
  const runsDir = await Deno.makeTempDir();
  try {
    let started = await startServer(runsDir, 0);
    const { port } = new URL(started.url);
    const create = (body: object) =>
      fetch(`${started.url}/v1/runs`, { method: "POST", body: JSON.stringify(body) });
    const request = { dataset: "sample", model: "scratch:tiny", threads: 1 };
    await (await create({ ...request, name: "long", epochs: 500, save_steps: 10 })).json();
    await (await create({ ...request, name: "next" })).json();
    await using watched = await WatchedPage.open(`${started.url}/`);
    const { page } = watched;
    await page.locator(".badge.running").waitFor({ timeout: 60_000 });
    started.process.kill("SIGKILL");
    await started.process.status;
    await page.getByText("The server does not answer").waitFor();
    started = await startServer(runsDir, Number(port));
    await page.getByText("The server does not answer").waitFor({ state: "detached" });
    const { runs } = await (await fetch(`${started.url}/v1/runs`)).json();
    const states = runs.map(({ name, state }: { name: string; state: string }) => [name, state]);
    deepStrictEqual(states, [["next", "queued"], ["long", "running"]]);
    await page.locator(".badge.running").waitFor();
    const shown = await page.locator("tbody tr").evaluateAll((rows) =>
      rows.map((row) => [
        row.querySelector(".row-link")?.textContent,
        row.querySelector(".badge")?.textContent?.trim(),
      ])
    );
    deepStrictEqual(shown, states);
    deepStrictEqual(watched.faults, []);
    started.process.kill("SIGKILL");
    await started.process.status;
  } finally {
    await Deno.remove(runsDir, { recursive: true }).catch(() => {});
  }
});

async function startServer(runsDir: string, port: number) {
  const process = new Deno.Command("deno", {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-net",
      "--allow-run=deno",
      "main.ts",
      "serve",
      `--port=${port}`,
      `--runs=${runsDir}`,
      "--device=wasm",
    ],
    stderr: "piped",
    stdout: "null",
  }).spawn();
  const [first, rest] = process.stderr.tee();
  void rest.pipeTo(new WritableStream()).catch(() => {});
  return { process, url: await address(first) };
}
