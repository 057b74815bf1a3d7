/**
 * Foreign or damaged entries in the server's folders: they harm nothing else.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { writeModel } from "../support/local_server.ts";
import { AttackedServer, pause } from "./attacked_server.ts";

async function shell(command: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  ok(success, new TextDecoder().decode(stderr));
}

/** Fills a folder with a good model and many entries that are not models. */
async function fill(dir: string): Promise<void> {
  await writeModel(join(dir, "good"), 1);
  await shell(`cd ${dir} && ln -s itself itself && mkdir lost+found && mkfifo pipe && touch file`);
  for (const file of ["metrics.json", "config.json", "training_args.json", "audit.json"]) {
    const name = file.split(".")[0];
    await shell(`cd ${dir} && mkdir -p fifo-${name} && mkfifo fifo-${name}/${file}`);
    await shell(`cd ${dir} && mkdir loop-${name} && ln -s ${file} loop-${name}/${file}`);
  }
  await shell(`cd ${dir} && cp -r good half && rm half/config.json && mkfifo half/config.json`);
  for (const [name, content] of [["empty", ""], ["damaged", "{"], ["other", "[]"]] as const) {
    await writeModel(join(dir, name), 2);
    await Deno.writeTextFile(join(dir, name, "config.json"), content);
  }
  await Deno.mkdir(join(dir, "fifo-lock"));
  await Deno.writeTextFile(
    join(dir, "fifo-lock", "training_args.json"),
    JSON.stringify({ data: "/elsewhere", model: "scratch:tiny" }),
  );
  await shell(`mkfifo ${join(dir, "fifo-lock", "lock")}`);
  await writeModel(join(dir, "weightless"), 3);
  await Deno.writeTextFile(join(dir, "weightless", "model.safetensors"), "");
}

Deno.test("bad entries of the folders are left out, and all else goes on", async () => {
  const modelsDir = await Deno.makeTempDir();
  try {
    await fill(modelsDir);
    await using server = await AttackedServer.start(
      { options: ["--models", modelsDir, "--workers", "0"] },
      async (runsDir) => {
        await fill(runsDir);
        await Deno.rename(join(runsDir, "good"), join(runsDir, "better"));
        await Deno.mkdir(join(runsDir, "datasets"));
        await fill(join(runsDir, "datasets"));
      },
    );
    const predict = async (model: string) =>
      (await server.post("/v1/predict", { inputs: ["a duet"], model })).status;
    for (const model of ["good", "better"]) strictEqual(await predict(model), 200, model);
    for (const model of ["damaged", "empty", "itself", "pipe", "half"]) {
      strictEqual(await predict(model), 422, model);
    }
    strictEqual(await predict("weightless"), 424);
    const { models } = await (await fetch(`${server.url}/v1/models`)).json();
    deepStrictEqual(
      models.map(({ name }: { name: string }) => name),
      ["better", "good", "weightless"],
    );
    for (const path of ["/v1/datasets", "/v1/storage", "/v1/runs", "/v1/evaluations"]) {
      strictEqual(await server.status(path), 200, path);
    }
    strictEqual(await predict("good"), 200);
  } finally {
    await Deno.remove(modelsDir, { recursive: true });
  }
});

Deno.test("a damaged state stops training, and nothing else", async () => {
  await using server = await AttackedServer.start({}, async (runsDir) => {
    await writeModel(join(runsDir, "titles"), 1);
    await Deno.writeTextFile(join(runsDir, "state.kv"), "x".repeat(10_000));
  });
  strictEqual((await server.post("/predict", { inputs: "a duet" })).status, 200);
  const { status, answer } = await server.post("/v1/runs", { dataset: "sample" });
  strictEqual(status, 503);
  deepStrictEqual(answer, {
    error: "Cannot read the state in 'state.kv': file is not a database",
    error_type: "not_ready",
  });
  strictEqual((await server.post("/predict", { inputs: "a duet" })).status, 200);
});

Deno.test("a server trains, evaluates and predicts in a folder behind a link, on a base behind one", async () => {
  const links = await Deno.makeTempDir();
  const [runs, base] = [join(links, "runs"), join(links, "base")];
  try {
    await using server = await AttackedServer.start(
      { options: ["--runs", runs, "--allow-base", base] },
      async (runsDir) => {
        await Deno.mkdir(join(runsDir, "own"));
        await Deno.symlink(join(runsDir, "own"), runs);
        await writeModel(join(runsDir, "elsewhere"), 1);
        await Deno.symlink(join(runsDir, "elsewhere"), base);
      },
    );
    const over = async (path: string) => {
      for (;; await pause(100)) {
        const { state, error } = await (await fetch(server.url + path)).json();
        if (!/queued|running/.test(state)) return error ?? state;
      }
    };
    const settings = { dataset: "sample", model: "base", mode: "lora", max_steps: 2 };
    const { answer } = await server.post("/v1/runs", settings);
    const { id } = answer as { id: string };
    strictEqual(await over(`/v1/runs/${id}`), "succeeded");
    const asked = await server.post("/v1/evaluations", { model: id, dataset: "sample" });
    const evaluation = asked.answer as { id: string };
    strictEqual(await over(`/v1/evaluations/${evaluation.id}`), "succeeded");
    strictEqual((await server.post("/predict", { inputs: "a duet" })).status, 200);
  } finally {
    await Deno.remove(links, { recursive: true });
  }
});
