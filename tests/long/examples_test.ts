/**
 * The programs in `examples/`, each in a process of its own, and a project elsewhere that imports
 * Graft.
 *
 * @module
 */
import { deepStrictEqual, match } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { METRICS_FILE } from "../../training/folder/run_folder.ts";
import { writeModel } from "../support/local_server.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EXAMPLES = join(ROOT, "examples");

async function withModel(test: (runsDir: string, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const runsDir = join(dir, "runs");
    await writeModel(join(runsDir, "titles"), 1);
    await test(runsDir, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs a program to its end and gives what it printed. */
async function run(cwd: string, args: string[]): Promise<string> {
  const command = new Deno.Command("deno", { args, cwd, env: { NO_COLOR: "1" } });
  const { code, stdout, stderr } = await command.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  deepStrictEqual(code, 0, decode(stderr));
  return decode(stdout);
}

/** Starts a program that listens, asks it, and stops it. */
async function ask(
  args: string[],
  env: Record<string, string>,
  path: string,
  body: unknown,
): Promise<unknown> {
  const options = { args, cwd: ROOT, env: { NO_COLOR: "1", ...env } };
  await using server = new Deno.Command("deno", { ...options, stderr: "piped", stdout: "null" })
    .spawn();
  let address: string | undefined;
  let told = "";
  for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
    told += text;
    address = /http:\/\/[\d.]+:\d+/.exec(told)?.[0];
    if (address !== undefined) break;
  }
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${address}${path}`, init);
  const answer = await response.json();
  server.kill("SIGKILL");
  return answer;
}

Deno.test("train.ts and classify.ts train a model and use it", async () => {
  await withModel(async (_, dir) => {
    const table = Array.from(
      { length: 60 },
      (_, i) => `the ${["dog", "cat"][i % 2]} ${i},${i % 2}`,
    );
    await Deno.writeTextFile(join(dir, "tickets.csv"), `text,label\n${table.join("\n")}\n`);
    const permissions = ["--no-prompt", "--allow-read", "--allow-write"];
    const config = ["--config", join(ROOT, "deno.json")];
    const trained = await run(dir, [
      ...["run", ...config, ...permissions, join(EXAMPLES, "train.ts"), "tickets.csv", "1"],
    ]);
    match(trained, /^Split 'tickets.csv' by text[^]*accuracy \d.*on \d+ texts\n$/);
    const runs = await Array.fromAsync(Deno.readDir(join(dir, "runs")));
    const made = runs.find(({ name }) => name !== "titles")!.name;
    await Deno.stat(join(dir, "runs", made, METRICS_FILE));
    const classified = await run(dir, [
      ...["run", ...config, "--no-prompt", "--allow-read", join(EXAMPLES, "classify.ts")],
      ...[join("runs", made), "the dog"],
    ]);
    match(classified, /^the dog -> [01] 0\.\d{3}\n$/);
  });
});

Deno.test("mount.ts and serverless.ts answer over HTTP", async () => {
  await withModel(async (runsDir) => {
    const mounted = await ask(
      [
        ...["run", "--no-prompt", "--allow-read", "--allow-write", "--allow-net=127.0.0.1"],
        ...[join(EXAMPLES, "mount.ts"), runsDir, "0"],
      ],
      {},
      "/graft/v1/predict",
      { inputs: ["a duet"], top_k: 1 },
    );
    const { predictions } = mounted as { predictions: unknown[] };
    deepStrictEqual(predictions.length, 1);
    const scores = await ask(
      [
        ...["serve", "--host", "127.0.0.1", "--port", "0", "--no-prompt", "--allow-read"],
        ...["--allow-env=MODEL", join(EXAMPLES, "serverless.ts")],
      ],
      { MODEL: join(runsDir, "titles") },
      "/",
      ["a duet", "sour dough"],
    );
    deepStrictEqual((scores as unknown[]).length, 2);
  });
});

Deno.test("a project elsewhere imports Graft by a link to its folder", async () => {
  await withModel(async (runsDir, dir) => {
    const config = { links: [ROOT], imports: { "@graft/graft": "jsr:@graft/graft@^0.2.0" } };
    await Deno.writeTextFile(join(dir, "deno.json"), JSON.stringify(config));
    const program = `
      import { loadClassifier } from "@graft/graft";
      await using classifier = await loadClassifier(${JSON.stringify(join(runsDir, "titles"))});
      console.log(classifier.labels.join(" "));
    `;
    await Deno.writeTextFile(join(dir, "main.ts"), program);
    const printed = await run(dir, ["run", "--no-prompt", "--allow-read", "main.ts"]);
    deepStrictEqual(printed, "food music travel\n");
  });
});
