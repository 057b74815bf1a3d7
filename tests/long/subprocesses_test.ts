/**
 * The permissions and the environment of a server's subprocesses.
 *
 * @module
 */
import { match, strictEqual } from "node:assert";
import { join } from "node:path";
import { spawnWorker } from "../../orchestration/job_process.ts";
import { TrainSettings } from "../../training/settings.ts";
import { AttackedServer, pause } from "../attacks/attacked_server.ts";

const FEW = { max_train_samples: 32, partner: "none" };

Deno.test("runs and evaluations succeed on a host with LD_LIBRARY_PATH", async () => {
  await using server = await AttackedServer.start({
    before: "export LD_LIBRARY_PATH=/usr/local/cuda/lib64",
  });
  const until = async (path: string, body: object) => {
    const { answer } = await server.post(path, body);
    const { id } = answer as { id: string };
    for (;; await pause(100)) {
      const it = await (await fetch(`${server.url}${path}/${id}`)).json();
      if (!/queued|running|lost/.test(it.state)) return [it.state, it.error];
    }
  };
  const run = { dataset: "sample", model: "scratch:tiny", max_steps: 2, name: "titles", ...FEW };
  strictEqual(String(await until("/v1/runs", run)), "succeeded,");
  // The model names another folder for its data.
  const [{ run: id }] = (await (await fetch(`${server.url}/v1/models/titles`)).json()).versions;
  const file = join(server.runsDir, id, "training_args.json");
  const args = JSON.parse(await Deno.readTextFile(file));
  await Deno.writeTextFile(file, JSON.stringify({ ...args, dataDir: "/etc" }));
  const evaluation = { model: "titles", dataset: "sample" };
  strictEqual(String(await until("/v1/evaluations", evaluation)), "succeeded,");
});

Deno.test("a subprocess reads and writes what its job names, and nothing else", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const settings = TrainSettings.parse({ model: "scratch:tiny", maxSteps: 1 });
    const job = {
      type: "train" as const,
      settings,
      outDir: join(dir, "out"),
      name: "x",
      resume: false,
      isTrial: false,
    };
    const child = spawnWorker({ ...job, dataDir: join(dir, "data") });
    const writer = child.stdin.getWriter();
    const other = JSON.stringify({ ...job, dataDir: join(dir, "secret") });
    await writer.write(new TextEncoder().encode(`${other}\n`));
    const { stdout } = await child.output();
    match(new TextDecoder().decode(stdout), /Requires read access to .*secret/);
    await writer.close().catch(() => {});
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
