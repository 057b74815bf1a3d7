import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { collate } from "../../data/batches.ts";
import { exists } from "../../lib/files.ts";
import { operatorsOf } from "../../tests/support/devices.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { type Adapter, baseOf, isAdapter, readAdapter, saveAdapter, withBase } from "./adapter.ts";
import { ADAPTER_WEIGHTS_FILE } from "./adapter_files.ts";
import { loadForInference, saveClassifier } from "./classifier_folder.ts";
import { readConfig, withLabels } from "../family.ts";
import { labelsOf, type ModelConfig } from "./config.ts";
import { TUNER_SETTINGS, tunerOf } from "../tuners/tuner.ts";
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "./safetensors.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { exportModel } from "../onnx_model.ts";
import { initialWeights } from "../weights.ts";
import { copyWithoutPooler } from "../../tests/support/copy_without_pooler.ts";
import { withFolder } from "../../tests/support/with_folder.ts";

/** The files that PEFT wrote; their README says how. */
const PEFT = fileURLToPath(new URL("../../tests/peft", import.meta.url));
const BASE = join(PEFT, "base");
const PEFT_LOGITS: { input_ids: number[][]; logits: Record<string, number[][]> } = JSON.parse(
  await Deno.readTextFile(join(PEFT, "logits.json")),
);
const SETTINGS = {
  model: BASE,
  seed: 1,
  ...z.object(TUNER_SETTINGS).parse({
    prefixLength: 3,
    prefixProjection: true,
    prefixHiddenSize: 5,
  }),
};

/** The logits of the batch that PEFT computed, with an ONNX model. */
async function logits(executor: Executor, model: Uint8Array): Promise<number[]> {
  const session = await executor.loadSession(model);
  // Rows end at their padding, which is 0.
  const rows = PEFT_LOGITS.input_ids.map((ids) => ids.filter((id) => id !== 0));
  const { logits } = await session.run(collate(rows, 0));
  await session.release();
  return Array.from(logits!.data, Number);
}

function close(actual: readonly number[], expected: readonly number[]): void {
  deepStrictEqual(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    ok(Math.abs(value - expected[i]!) < 1e-5, `${actual}, not ${expected}`);
  }
}

/** An adapter on PEFT's base with random values. */
async function randomAdapter(): Promise<Adapter> {
  const config: ModelConfig = {
    ...withLabels(await readConfig(BASE), ["yes", "no"]),
    problem_type: "multi_label_classification",
  };
  const base = initialWeights(config, 1);
  const method = tunerOf("prefix").method!;
  const peft = method.configOf(SETTINGS, config);
  return {
    base: await baseOf(BASE),
    peft,
    config,
    weights: {
      ...await method.initialWeights(peft, { config, weights: base }, SETTINGS),
      "classifier.weight": base["classifier.weight"]!,
      "classifier.bias": base["classifier.bias"]!,
    },
    tokenizer: (await Tokenizer.load(BASE)).withMaxLength(9),
    maxLength: 9,
  };
}

/** Runs a test on the folder of an adapter whose tensors were changed. */
async function withChanged(
  change: (tensors: Map<string, StoredTensor>) => void,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  await withFolder({}, async (dir) => {
    await saveAdapter(dir, await randomAdapter());
    const file = join(dir, ADAPTER_WEIGHTS_FILE);
    const content = decodeSafetensors(await Deno.readFile(file), file);
    change(content.tensors);
    await Deno.writeFile(file, encodeSafetensors(content));
    await test(dir);
  });
}

for (const name of ["prefix", "projection", "prompt", "lora", "lora_all", "lora_pooler"]) {
  Deno.test(`readAdapter() reads PEFT's ${name}, and gives PEFT's logits`, async () => {
    await using executor = await Executor.start({ threads: 1 });
    const stored = await readAdapter(join(PEFT, name));
    const { config, weights, peft } = await withBase(stored, BASE);
    deepStrictEqual(labelsOf(config), ["food", "music", "news"]);
    close(
      await logits(executor, exportModel(config, weights, { peft })),
      PEFT_LOGITS.logits[name]!.flat(),
    );
  });
}

for (const name of ["lora", "lora_all", "lora_pooler"]) {
  Deno.test(`loadForInference() merges PEFT's ${name} into its base, and gives PEFT's logits`, async () => {
    await withFolder({}, async (dir) => {
      await using executor = await Executor.start({ threads: 1 });
      const adapter = await readAdapter(join(PEFT, name));
      const { config, weights, peft } = await withBase(adapter, BASE);
      const tokenizer = await Tokenizer.load(BASE);
      const base = await baseOf(BASE);
      await saveAdapter(dir, { base, peft, config, weights, tokenizer, maxLength: 9 });
      const stored = decodeSafetensors(
        await Deno.readFile(join(PEFT, name, ADAPTER_WEIGHTS_FILE)),
        name,
      );
      const written = decodeSafetensors(await Deno.readFile(join(dir, ADAPTER_WEIGHTS_FILE)), name);
      deepStrictEqual(
        new Map([...written.tensors].sort()),
        new Map([...stored.tensors].sort()),
      );
      const { model } = await loadForInference(dir);
      deepStrictEqual(operatorsOf(model).filter((operator) => operator === "Gemm").length, 14);
      close(await logits(executor, model), PEFT_LOGITS.logits[name]!.flat());
    });
  });
}

Deno.test("saveAdapter() and readAdapter() keep everything; a projection becomes its output", async () => {
  await withFolder({}, async (dir) => {
    await using executor = await Executor.start({ threads: 1 });
    const adapter = await randomAdapter();
    await saveAdapter(dir, adapter);
    const stored = await readAdapter(dir);
    deepStrictEqual(stored.base, adapter.base);
    deepStrictEqual(stored.maxLength, 9);
    deepStrictEqual((await Tokenizer.load(dir)).files(), adapter.tokenizer.files());
    const read = await withBase(stored);
    deepStrictEqual(read.config, adapter.config);
    const projection = { prefix_projection: false, encoder_hidden_size: 0 };
    deepStrictEqual(read.peft, { ...adapter.peft, ...projection });
    const { model, tokenizer } = await loadForInference(dir);
    deepStrictEqual(tokenizer.encode("a bread song ".repeat(9)).ids.length, 9);
    close(
      await logits(executor, model),
      await logits(
        executor,
        exportModel(adapter.config, { ...read.weights, ...adapter.weights }, {
          peft: adapter.peft,
        }),
      ),
    );
  });
});

Deno.test("withBase() gives an adapter the calibration and thresholds of its own head", async () => {
  await withFolder({}, async (dir) => {
    const own = { calibration: { scales: [0.5, 0.5], biases: [1, -1] }, thresholds: [0.3, 0.6] };
    const adapter = await randomAdapter();
    await saveAdapter(dir, { ...adapter, config: { ...adapter.config, ...own } });
    const { calibration, thresholds } = (await withBase(await readAdapter(dir), BASE)).config;
    deepStrictEqual({ calibration, thresholds }, own);
  });
});

Deno.test("a folder holds an adapter or a whole classifier, whichever was saved last", async () => {
  await withFolder({}, async (dir) => {
    const config = await readConfig(BASE);
    const tokenizer = await Tokenizer.load(BASE);
    const adapter = await randomAdapter();
    await saveAdapter(dir, adapter);
    await saveClassifier(dir, { config, tokenizer, weights: initialWeights(config, 1) });
    deepStrictEqual(await isAdapter(dir), false);
    await saveAdapter(dir, adapter);
    deepStrictEqual(await isAdapter(dir), true);
    deepStrictEqual(await exists(join(dir, "model.safetensors")), false);
  });
});

Deno.test("withBase() refuses another base, and names both", async () => {
  await withFolder({}, async (dir) => {
    const other = join(dir, "other");
    const config = await readConfig(BASE);
    const tokenizer = await Tokenizer.load(BASE);
    await saveClassifier(other, { config, tokenizer, weights: initialWeights(config, 1) });
    await saveAdapter(join(dir, "adapter"), await randomAdapter());
    const adapter = await readAdapter(join(dir, "adapter"));
    const { sha256 } = await baseOf(other);
    await rejects(withBase(adapter, other), {
      name: "UserError",
      message: `Cannot use '${adapter.dir}' on '${other}', whose weights have the SHA-256 ` +
        `${sha256}: it was tuned on '${BASE}' with ${adapter.base.sha256}`,
    });
  });
});

Deno.test("withBase() refuses a base of another shape, too few positions, and none", async () => {
  const stored = await readAdapter(join(PEFT, "prefix"));
  const changed = (change: Record<string, number>) => ({
    ...stored,
    peft: { ...stored.peft, ...change },
  });
  await rejects(
    withBase(changed({ num_attention_heads: 4 }), BASE),
    /'base': it is for a num_attention_heads of 4, the base has 2$/,
  );
  await rejects(
    withBase(changed({ num_virtual_tokens: 18 }), BASE),
    /18 virtual tokens and 3 of a text are more than the base's 20 positions$/,
  );
  await rejects(
    withBase({ ...stored, base: { name: "/nowhere" } }),
    /its base '\/nowhere' is not there/,
  );
});

Deno.test("withBase() needs no pooler of a base where the adapter has its own", async () => {
  await withFolder({}, async (dir) => {
    await copyWithoutPooler(BASE, dir);
    const stored = await readAdapter(join(PEFT, "lora_pooler"));
    const { config, weights, peft } = await withBase(stored, dir);
    await using executor = await Executor.start({ threads: 1 });
    close(
      await logits(executor, exportModel(config, weights, { peft })),
      PEFT_LOGITS.logits["lora_pooler"]!.flat(),
    );
    await rejects(
      withBase(await readAdapter(join(PEFT, "lora")), dir),
      /its weights lack 'bert.pooler.dense.weight'$/,
    );
  });
});

Deno.test("withBase() takes a target of LoRA that is trained whole, if there are others", async () => {
  const stored = await readAdapter(join(PEFT, "lora_pooler"));
  const targeting = (target_modules: string[]) => ({
    ...stored,
    peft: { ...stored.peft, target_modules },
  });
  // PEFT writes "all-linear" out, the layers that it leaves out included.
  await withBase(targeting(["query", "dense", "bert.pooler.dense"]), BASE);
  await rejects(
    withBase(targeting(["bert.pooler.dense"]), BASE),
    /'base': all layers that it names are trained whole$/,
  );
});

Deno.test("withBase() refuses trained weights that it would not use everywhere", async () => {
  const stored = await readAdapter(join(PEFT, "lora"));
  const name = "bert.embeddings.word_embeddings.weight";
  await rejects(
    withBase({ ...stored, weights: { ...stored.weights, [name]: new Float32Array(24 * 8) } }, BASE),
    /'base': it also trained 'bert.embeddings.word_embeddings.weight', and of a base's own/,
  );
  const withPooler = await readAdapter(join(PEFT, "lora_pooler"));
  const { weights: { "bert.pooler.dense.bias": bias, ...weights } } = withPooler;
  // A pooler that adapter_config.json does not name.
  await rejects(
    withBase(
      { ...stored, weights: { ...stored.weights, "bert.pooler.dense.bias": bias! } },
      BASE,
    ),
    /it also trained 'bert.pooler.dense.bias'/,
  );
  await rejects(
    withBase({ ...withPooler, weights }, BASE),
    /an adapter has 'bert.pooler.dense.bias' of \[8\], and this one has none$/,
  );
});

Deno.test("readAdapter() says what is missing, damaged or misshapen", async (t) => {
  for (
    const [what, change, message] of [
      ["no head", (tensors) => tensors.delete("base_model.classifier.weight"), /it has no head/],
      ["no prompt", (tensors) => tensors.delete("prompt_embeddings"), /\[3,32\], there is none$/],
      [
        "a head for another width",
        (tensors) =>
          tensors.set("base_model.classifier.weight", { shape: [2, 3], data: new Float32Array(6) }),
        /'base_model.classifier.weight' must be floating-point \[2,8\], got \[2,3\]$/,
      ],
      [
        "fewer virtual tokens than the configuration says",
        (tensors) =>
          tensors.set("prompt_embeddings", { shape: [1, 32], data: new Float32Array(32) }),
        /must be floating-point \[3,32\], got \[1,32\]$/,
      ],
      [
        "more classes than names",
        (tensors) => {
          tensors.set("base_model.classifier.bias", { shape: [3], data: new Float32Array(3) });
          tensors.set("base_model.classifier.weight", {
            shape: [3, 8],
            data: new Float32Array(24),
          });
        },
        /its head has 3 classes, not 2$/,
      ],
    ] as [string, (tensors: Map<string, StoredTensor>) => void, RegExp][]
  ) {
    await t.step(what, async () => {
      await withChanged(change, (dir) => rejects(readAdapter(dir), message));
    });
  }
  await t.step("a truncated file", async () => {
    await withChanged(() => {}, async (dir) => {
      const file = join(dir, ADAPTER_WEIGHTS_FILE);
      await Deno.truncate(file, (await Deno.stat(file)).size - 10);
      await rejects(readAdapter(dir), /ends after the file's end$/);
    });
  });
  await t.step("no file", async () => {
    await withChanged(() => {}, async (dir) => {
      await Deno.remove(join(dir, ADAPTER_WEIGHTS_FILE));
      await rejects(readAdapter(dir), /it holds no adapter_model.safetensors$/);
    });
  });
});
