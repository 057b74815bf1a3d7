/**
 * The `data` commands, and training on what they make, as a user meets them: in a process and a
 * folder of their own.
 *
 * @module
 */
import { deepStrictEqual, match } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { graft, inEmptyFolder, MAIN } from "../support/graft.ts";
import { address } from "../support/server_process.ts";

const SAMPLE = fileURLToPath(new URL("../../data/sample", import.meta.url));
/** The smallest network, alone. */
const SMALL = ["--model", "scratch:tiny", "--partner", "none", "--max-steps", "2"];

/** The answer of a server of the runs in a folder to one request. */
async function ask(cwd: string, request: object) {
  const server = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--allow-read", "--allow-write", "--allow-net=127.0.0.1"]
      .concat("--allow-run=deno", MAIN, "serve", "--port", "0"),
    cwd,
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: cwd },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  try {
    const url = `${await address(server.stderr)}/v1/predict`;
    const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
    return await response.json();
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

/** Runs a test in a folder with a raw file of three columns. */
async function withRaw(test: (dir: string) => Promise<void>): Promise<void> {
  await inEmptyFolder(async (dir) => {
    const sample = await Deno.readTextFile(join(SAMPLE, "train_simple.csv"));
    await Deno.writeTextFile(join(dir, "raw.csv"), sample.replace("text,label", "title,kind"));
    await test(dir);
  });
}

Deno.test("prepare, audit, train and eval work together", async () => {
  await withRaw(async (dir) => {
    const columns = ["--text", "title", "--label", "kind"];
    const prepared = await graft(dir, ["data", "prepare", "raw.csv", "--out", "set", ...columns]);
    deepStrictEqual([prepared.code, prepared.stderr], [0, ""]);
    match(prepared.stdout, /^raw\.csv: 1,559 rows, 1,559 with a text, 1,559 distinct texts\n/);

    const audited = await graft(dir, ["data", "audit", "set", "--json"]);
    deepStrictEqual(audited.code, 0, audited.stderr);
    const { files, leakage } = JSON.parse(audited.stdout);
    deepStrictEqual(leakage, "No test or validation text was seen in training.");
    match(await Deno.readTextFile(join(dir, "set", "audit.html")), /^<!DOCTYPE html>/);
    // The program's own folder is not the user's to be written to.
    deepStrictEqual((await graft(dir, ["data", "audit", SAMPLE, "--json"])).code, 0);
    match(await Deno.readTextFile(join(dir, "audit.html")), /Audit of sample/);

    const trained = await graft(dir, ["train", "--data", "set", ...SMALL, "--json"]);
    deepStrictEqual(trained.code, 0, trained.stderr);
    deepStrictEqual(JSON.parse(trained.stdout).metrics.n, files.test.rows);
  });
});

Deno.test("train and eval take JSON Lines with columns of other names", async () => {
  await withRaw(async (dir) => {
    for (const side of ["train", "val"]) {
      const rows = Array.from(
        { length: 40 },
        (_, i) => JSON.stringify({ title: `${side} title ${i}`, kind: i % 2 }),
      );
      await Deno.writeTextFile(join(dir, `${side}_simple.jsonl`), rows.join("\n"));
    }
    const mapping = ["--column-mapping", "text=title,label=kind"];
    const train = ["train", "--data", ".", ...SMALL, ...mapping, "--json"];
    const trained = await graft(dir, train);
    deepStrictEqual(trained.code, 0, trained.stderr);
    const evaluated = await graft(dir, ["eval", "--json"]);
    deepStrictEqual(evaluated.code, 0, evaluated.stderr);
    const { n, unseen } = JSON.parse(evaluated.stdout);
    deepStrictEqual([n, unseen.n], [40, 40]);
    const file = ["eval", "--file", "train_simple.jsonl", ...mapping, "--json"];
    deepStrictEqual(JSON.parse((await graft(dir, file)).stdout).seen.n, 40);
  });
});

Deno.test("one table with semicolons, bad rows and labels of two spellings becomes a server", async () => {
  await inEmptyFolder(async (dir) => {
    const labels = ["Printer", "printer", "login", "Login"];
    const rows = Array.from(
      { length: 80 },
      (_, i) => `${labels[i % 4]} trouble, no. ${i};${labels[i % 4]}`,
    );
    rows.splice(10, 0, "only one field", ";printer", "one;two;login");
    await Deno.writeTextFile(join(dir, "tickets.csv"), ["Body;Topic", ...rows].join("\r\n"));
    const train = ["train", "--data", "tickets.csv", ...SMALL, "--json"];
    const refused = await graft(dir, train);
    deepStrictEqual([refused.code, refused.stdout], [1, ""]);
    match(
      refused.stderr,
      /line 12: expected 2 .*; line 13: the text is empty; line 14: .*all 3 rows/,
    );

    const trained = await graft(dir, [...train, "--skip-bad-rows", "--normalize-labels"]);
    deepStrictEqual(trained.code, 0, trained.stderr);
    match(trained.stderr, /Split 'tickets\.csv' by text, with seed 42: 52 rows .* 20 to test\n/);
    const { model_dir, metrics } = JSON.parse(trained.stdout);
    deepStrictEqual(metrics.n, 20);
    await Deno.remove(join(dir, "tickets.csv"));
    const evaluated = await graft(dir, ["eval", "--model", model_dir, "--json"]);
    deepStrictEqual(evaluated.code, 0, evaluated.stderr);
    const { n, accuracy, per_class } = JSON.parse(evaluated.stdout);
    deepStrictEqual([n, accuracy], [20, metrics.accuracy]);
    deepStrictEqual(per_class.map(({ label }: { label: string }) => label), ["Printer", "login"]);

    const answer = await ask(dir, { inputs: ["The printer does not print"] });
    deepStrictEqual(
      answer.predictions[0].map(({ label }: { label: string }) => label).sort(),
      ["Printer", "login"],
    );
  });
});

Deno.test("a mistake with data is one line and a non-zero exit", async () => {
  await withRaw(async (dir) => {
    const out = ["--out", "set"];
    for (
      const [args, message] of [
        [["prepare", "raw.csv"], /^error: required option '--out <dir>' not specified\n$/],
        [["prepare", "no.csv", ...out], /^error: Cannot read 'no.csv': no such file\n$/],
        [
          ["prepare", "raw.csv", ...out],
          /: expected a column 'label', found 'title', 'kind': name yours with --label/,
        ],
        [["prepare", "raw.csv", ...out, "--seed", "-1"], /^error: Cannot use --seed -1: /],
        [["prepare", "raw.csv", ...out, "--split", "fair"], /Allowed choices are grouped, strat/],
        [["audit", "no"], /^error: Cannot read 'no': no such file or folder\n$/],
        [
          ["audit", ".", "--column-mapping", "x"],
          /^error: Cannot use the column mapping x: expected/,
        ],
        [["fetch", ...out, "--from", "x"], /^error: Cannot fetch from 'x': it is not a URL\n$/],
        [
          ["fetch", ...out, "--from", "http://127.0.0.1:1/"],
          /^error: Cannot fetch 'http:\/\/127\.0\.0\.1:1\/.*': the connection failed; /,
        ],
      ] as const
    ) {
      const { code, stdout, stderr } = await graft(dir, ["data", ...args]);
      deepStrictEqual([code, stdout], [1, ""], args.join(" "));
      match(stderr, message);
    }
  });
});
