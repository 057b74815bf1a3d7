/**
 * Commands that train, as a person runs them one after the other.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { HUB_VARIABLES } from "../../models/hub_cache.ts";
import { graft, type GraftOptions, inEmptyFolder, MAIN } from "../support/graft.ts";
import { LocalHub } from "../support/local_hub.ts";

Deno.test("pretrain makes a base that train takes, and says what it lacks", async () => {
  await inEmptyFolder(async (dir) => {
    const lines = Array.from({ length: 60 }, (_, i) => `the ${["dog", "cat"][i % 2]} sleeps ${i}`);
    await Deno.writeTextFile(`${dir}/texts.txt`, lines.join("\n"));
    const flags = ["--texts", "texts.txt", "--model", "scratch:tiny", "--threads", "1"];
    const made = await graft(dir, ["pretrain", ...flags, "--max-steps", "1", "--json"]);
    deepStrictEqual(made.code, 0, made.stderr);
    const { model_dir, steps } = JSON.parse(made.stdout);
    deepStrictEqual([model_dir, steps], ["bases/scratch-tiny-pretrained", 1]);
    match(made.stderr, /Pretraining scratch:tiny on wasm/);
    const trained = await graft(dir, [
      ...["train", "--model", model_dir, "--max-steps", "2", "--threads", "1", "--json"],
    ]);
    deepStrictEqual(trained.code, 0, trained.stderr);

    const none = await graft(dir, ["pretrain"]);
    deepStrictEqual([none.code, none.stderr], [
      1,
      "error: Cannot pretrain without --texts FILES\n",
    ]);
    const again = await graft(dir, ["pretrain", ...flags]);
    match(
      again.stderr,
      /^error: Cannot write to 'bases\/scratch-tiny-pretrained': it holds a fin/m,
    );
  });
});

Deno.test("train, eval and predict work together without flags", async () => {
  await inEmptyFolder(async (dir) => {
    const trained = await graft(dir, ["train", "--max-steps", "10", "--threads", "1", "--json"]);
    deepStrictEqual(trained.code, 0, trained.stderr);
    const result = JSON.parse(trained.stdout);
    deepStrictEqual([result.steps, result.device, result.metrics.n], [10, "wasm", 600]);
    match(result.model_dir, /^runs\/\d{4}-\d\d-\d\d-\d{6}-full-bundled$/);
    const files = [...Deno.readDirSync(`${dir}/${result.model_dir}`)].map(({ name }) => name);
    deepStrictEqual(files.sort(), [
      "README.md",
      "checkpoints",
      "config.json",
      "metrics.json",
      "model.safetensors",
      "onnx",
      "partner.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "trainer_state.json",
      "training_args.json",
      "training_texts.bin",
      "vocab.txt",
    ]);

    const evaluated = await graft(dir, ["eval", "--json", "--predictions", "predict.csv"]);
    deepStrictEqual(evaluated.code, 0, evaluated.stderr);
    const report = JSON.parse(evaluated.stdout);
    deepStrictEqual(report.accuracy, result.metrics.accuracy);
    deepStrictEqual(report.unseen.n, 600);
    const predictions = await Deno.readTextFile(`${dir}/predict.csv`);
    match(predictions, /^text,label,predicted,score\n/);

    const quantized = await graft(dir, ["eval", "--json", "--dtype", "q8"]);
    deepStrictEqual(quantized.code, 0, quantized.stderr);
    const { fp32, same_predictions, ...q8 } = JSON.parse(quantized.stdout);
    deepStrictEqual([q8.n, fp32.n, fp32.accuracy], [600, 600, report.accuracy]);
    ok(same_predictions > 0.9 && Math.abs(q8.accuracy - fp32.accuracy) <= 1 - same_predictions);
    const table = await graft(dir, ["eval", "--dtype", "q8"]);
    match(table.stdout, /│ fp32 +│.*\n.*│ q8 +│/);
    match(table.stdout, /The same is predicted for \d/);

    const predicted = await graft(dir, ["predict", "--json", "--top-k", "2", "--dtype", "q8"], {
      input: "one\ntwo\n",
    });
    deepStrictEqual(predicted.code, 0, predicted.stderr);
    deepStrictEqual(JSON.parse(predicted.stdout).map((row: unknown[]) => row.length), [2, 2]);

    const again = await graft(dir, ["train", "--out", result.model_dir]);
    deepStrictEqual(again.code, 1);
    match(again.stderr, /^error: Cannot write to '.*': it holds a finished run; use --overwrite/);
    const device = ["--device", "native", "--overwrite"];
    const refused = await graft(dir, ["train", "--out", result.model_dir, ...device]);
    deepStrictEqual(refused.code, 1);
    match(refused.stderr, /^error: Cannot use device 'native': it is not installed, or/);
    deepStrictEqual((await graft(dir, ["eval", "--json"])).code, 0);
  });
});

Deno.test("eval measures the model that train measured", async () => {
  await inEmptyFolder(async (dir) => {
    // Most titles are longer than this, and both have to cut them.
    const args = ["train", "--max-steps", "20", "--max-length", "6", "--max-train-samples", "500"];
    const trained = await graft(dir, [...args, "--out", "model", "--json"]);
    deepStrictEqual(trained.code, 0, trained.stderr);
    const { metrics } = JSON.parse(trained.stdout);
    const evaluated = await graft(dir, ["eval", "--model", "model", "--json"]);
    const report = JSON.parse(evaluated.stdout);
    // Probabilities differ by rounding: calibration has come into the weights meanwhile.
    for (const key of ["n", "accuracy", "f1_macro", "per_class", "confusion_matrix", "unseen"]) {
      deepStrictEqual(report[key], metrics[key], key);
    }
    const errors = report.expected_calibration_error - metrics.expected_calibration_error;
    ok(Math.abs(errors) < 1e-5, `${errors}`);
  });
});

Deno.test("the same command twice gives the same weights", async () => {
  await inEmptyFolder(async (dir) => {
    const weights: Uint8Array[] = [];
    for (const out of ["a", "b"]) {
      const args = ["train", "--model", "scratch:tiny", "--max-steps", "12", "--threads", "2"];
      deepStrictEqual((await graft(dir, [...args, "--out", out])).code, 0);
      weights.push(await Deno.readFile(`${dir}/${out}/model.safetensors`));
    }
    ok(weights[0]!.every((byte, i) => byte === weights[1]![i]));
  });
});

Deno.test("train takes a model of the hub by its name", async () => {
  await inEmptyFolder(async (dir) => {
    const small = ["--model", "scratch:tiny", "--max-steps", "1", "--threads", "1"];
    const made = await graft(dir, ["train", ...small, "--out", "base"]);
    deepStrictEqual(made.code, 0, made.stderr);
    const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
    await using hub = new LocalHub(
      names.map((name) => [name, Deno.readFileSync(`${dir}/base/${name}`)]),
    );
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: `${dir}/cache` };
    const allowEnv = [`--allow-env=${HUB_VARIABLES}`];
    const args = (
      model: string,
      out: string,
    ) => ["train", "--json", "--max-steps", "3", "--threads", "1", "--model", model, "--out", out];
    const trained = await graft(dir, args("tiny@v1", "by-name"), { env });
    deepStrictEqual(trained.code, 0, trained.stderr);
    match(trained.stderr, /^Downloading config.json\n/);
    const { metrics } = JSON.parse(trained.stdout);
    const expected = JSON.parse((await graft(dir, args("base", "from-folder"))).stdout);
    deepStrictEqual(metrics, expected.metrics);
    const weights = (out: string) => Deno.readFile(`${dir}/${out}/model.safetensors`);
    deepStrictEqual(await weights("by-name"), await weights("from-folder"));

    for (
      const [options, message] of [
        [{ env, permissions: allowEnv }, /connections to 127\.0\.0\.1:\d+ are not allowed/],
        [
          { env, permissions: [] },
          /^error: Cannot find 'tiny': no folder of that name, and .* permissions/,
        ],
      ] as [GraftOptions, RegExp][]
    ) {
      const { code, stdout, stderr } = await graft(dir, args("tiny", "no"), options);
      deepStrictEqual([code, stdout], [1, ""], stderr);
      match(stderr, /^error: [^\n]*\n$/);
      match(stderr, message);
    }
  });
});

Deno.test("bench train prints what it measured", async () => {
  const args = ["bench", "train", "--size", "tiny", "--steps", "1", "--batch-size", "2"];
  const child = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--allow-read", "--allow-sys=cpus", MAIN, ...args]
      .concat(["--length", "4", "--device", "wasm", "--mode", "all", "--json"]),
  });
  const { code, stdout } = await child.output();
  deepStrictEqual(code, 0);
  const { machine, versions, results } = JSON.parse(new TextDecoder().decode(stdout));
  deepStrictEqual([machine.os, versions.deno], [Deno.build.os, Deno.version.deno]);
  match(versions.onnxruntime, /^\d+\.\d+\.\d+$/);
  const [full, ...others] = results;
  const { whole_step, ...result } = full;
  deepStrictEqual(Object.keys(whole_step), ["gflops", "product_gflops", "share"]);
  for (const [name, value] of Object.entries(whole_step)) ok(Number(value) > 0, name);
  deepStrictEqual(others.length, 3);
  for (const [i, each] of [result, ...others].entries()) {
    const { device, mode, size, batch_size, length, ...figures } = each;
    const modeName = ["full", "prefix", "prompt", "lora"][i];
    deepStrictEqual([device, mode, size, batch_size, length], ["wasm", modeName, "tiny", 2, 4]);
    deepStrictEqual(Object.keys(figures), [
      "step_ms",
      "forward_backward_ms",
      "optimizer_ms",
      "tokens_per_second",
      "parts",
      "peak_resident_bytes",
      "gflops",
      "matmul_gflops",
      "matmul_share",
    ]);
    for (const [name, value] of Object.entries(figures)) ok(Number(value) > 0, name);
  }
});
