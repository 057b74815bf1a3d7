import { deepStrictEqual, notDeepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { exists } from "../../lib/files.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import {
  type Classifier,
  loadClassifier,
  loadForInference,
  saveClassifier,
} from "./classifier_folder.ts";
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "./safetensors.ts";
import { testOnDevices } from "../../tests/support/devices.ts";
import { scratchClassifier } from "../scratch.ts";
import { TextClassifier } from "../inference/text_classifier.ts";

const TEXTS = ["a duet for two pianos", "bread from sour dough", "how to tune a piano", "bake 2 x"];
const LABELS = ["food", "music", "10"];

/** Runs a test on the folder of a classifier with random weights. */
async function withModel(
  test: (dir: string, classifier: Classifier) => Promise<void>,
): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    const dir = join(parent, "model");
    const classifier = scratchClassifier("tiny", TEXTS, LABELS, { seed: 11, maxLength: 32 });
    await saveClassifier(dir, classifier);
    await test(dir, classifier);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

/** Changes the tensors of a model's model.safetensors. */
async function changeTensors(
  dir: string,
  change: (tensors: Map<string, StoredTensor>) => void,
): Promise<void> {
  const file = join(dir, "model.safetensors");
  const content = decodeSafetensors(await Deno.readFile(file), file);
  change(content.tensors);
  await Deno.writeFile(file, encodeSafetensors(content));
}

Deno.test("loadClassifier() gives back what saveClassifier() wrote", async () => {
  await withModel(async (dir, classifier) => {
    const loaded = await loadClassifier(dir);
    deepStrictEqual(loaded.config, classifier.config);
    deepStrictEqual(loaded.weights, classifier.weights);
    deepStrictEqual(loaded.tokenizer.files(), classifier.tokenizer.files());
    for (const text of [...TEXTS, "A Duet of 2 breads", ""]) {
      deepStrictEqual(loaded.tokenizer.encode(text), classifier.tokenizer.encode(text));
    }
  });
});

Deno.test("saveClassifier() writes the files that transformers looks for", async () => {
  await withModel(async (dir) => {
    const names = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
    deepStrictEqual(names.sort(), [
      "config.json",
      "model.safetensors",
      "onnx",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "vocab.txt",
    ]);
    const { metadata } = decodeSafetensors(
      await Deno.readFile(join(dir, "model.safetensors")),
      "model",
    );
    deepStrictEqual(metadata, { format: "pt" });
  });
});

Deno.test("loadForInference() makes the ONNX model from the weights if it is not there", async () => {
  await withModel(async (dir) => {
    const { model } = await loadForInference(dir);
    await Deno.remove(join(dir, "onnx"), { recursive: true });
    const made = (await loadForInference(dir)).model;
    // It does not name the file of weights it was made from, as nothing will ask.
    const length = made.length - 100;
    deepStrictEqual(model.slice(-length), made.slice(-length));
  });
});

Deno.test("loadForInference() uses no ONNX model of other weights, whatever its time", async () => {
  await withModel(async (dir) => {
    const file = join(dir, "onnx/model.onnx");
    const { model } = await loadForInference(dir);
    deepStrictEqual(model, await Deno.readFile(file));
    await changeTensors(
      dir,
      (tensors) => (tensors.get("classifier.bias")!.data as Float32Array).fill(7),
    );
    await Deno.utime(file, new Date(), new Date(Date.now() + 1e6));
    const changed = (await loadForInference(dir)).model;
    notDeepStrictEqual(changed, model);
    // A model that does not name its weights is not used, either.
    for (const size of [0, 1, 5000]) {
      await Deno.writeFile(file, new Uint8Array(size).fill(0xf7));
      deepStrictEqual((await loadForInference(dir)).model, changed);
    }
  });
});

Deno.test("loadForInference() takes no digest for that of weights which others have replaced", async () => {
  await withModel(async (dir) => {
    const weights = join(dir, "model.safetensors");
    const digest = join(dir, "onnx/weights_digest.json");
    // Times of changes have a resolution of a second.
    while (!await exists(digest)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await loadForInference(dir);
    }
    const { model } = await loadForInference(dir);
    const { size, mtime } = await Deno.stat(weights);
    const bytes = await Deno.readFile(weights);
    // The weights are replaced in place, with the same length and time.
    await Deno.writeFile(weights, bytes.fill(1, -4));
    await Deno.utime(weights, mtime!, mtime!);
    strictEqual((await Deno.stat(weights)).size, size);
    const changed = (await loadForInference(dir)).model;
    notDeepStrictEqual(changed, model);
    // A digest that comes with the folder is not used, either.
    for (const content of ["", "{}", JSON.stringify({ sha256: "0".repeat(64), files: [] })]) {
      await Deno.writeTextFile(digest, content);
      deepStrictEqual((await loadForInference(dir)).model, changed);
    }
  });
});

Deno.test("loadForInference() quantises a model once, and again when its weights change", async () => {
  await withModel(async (dir, classifier) => {
    const file = join(dir, "onnx/model_quantized.onnx");
    const { model } = await loadForInference(dir, "q8");
    deepStrictEqual(await Deno.readFile(file), model);
    const exact = (await loadForInference(dir)).model;
    ok(model.length < 0.4 * exact.length, `${model.length} bytes, ${exact.length} before`);
    // An existing model is read as it is.
    const { mtime } = await Deno.stat(file);
    deepStrictEqual((await loadForInference(dir, "q8")).model, model);
    deepStrictEqual((await Deno.stat(file)).mtime, mtime);
    await changeTensors(
      dir,
      (tensors) => (tensors.get("classifier.bias")!.data as Float32Array).fill(7),
    );
    const changed = (await loadForInference(dir, "q8")).model;
    notDeepStrictEqual(changed, model);
    deepStrictEqual(await Deno.readFile(file), changed);
    await saveClassifier(dir, classifier);
    ok(!await exists(file));
    deepStrictEqual((await loadForInference(dir, "q8")).model, model);
  });
});

Deno.test("loadForInference() quantises in memory where no file can be written", async () => {
  await withModel(async (dir) => {
    const { model } = await loadForInference(dir, "q8");
    await Deno.remove(join(dir, "onnx"), { recursive: true });
    await Deno.writeTextFile(join(dir, "onnx"), "in the way");
    deepStrictEqual((await loadForInference(dir, "q8")).model, model);
  });
});

testOnDevices("TextClassifier scores almost alike with weights of 8 bits", async (executor) => {
  await withModel(async (dir, { config, tokenizer, weights }) => {
    // Classes that are far apart, so that the bound means something.
    weights["classifier.weight"] = weights["classifier.weight"]!.map((value) => 100 * value);
    await saveClassifier(dir, { config, tokenizer, weights });
    const logits = async (dtype: "fp32" | "q8") => {
      const classifier = await TextClassifier.load(executor, dir, dtype);
      const rows = await classifier.logits(TEXTS.flatMap((text) => classifier.encode(text)));
      await classifier.release();
      return rows.flatMap((row) => [...row]);
    };
    const [exact, quantized] = [await logits("fp32"), await logits("q8")];
    const error = Math.hypot(...quantized.map((value, i) => value - exact[i]!)) /
      Math.hypot(...exact);
    ok(error > 1e-6 && error < 0.02, `The error is ${error} of the logits`);
  });
});

Deno.test("loadForInference() cuts texts to what the model has positions for", async () => {
  await withModel(async (dir) => {
    const file = join(dir, "tokenizer_config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...config, model_max_length: 1e30 }));
    const { tokenizer } = await loadForInference(dir);
    deepStrictEqual(tokenizer.encode("a duet ".repeat(1000)).ids.length, 512);
  });
});

Deno.test("scratchClassifier() is a pure function of its arguments", () => {
  const classifier = (seed: number) =>
    scratchClassifier("tiny", TEXTS, LABELS, { seed, maxLength: 32 });
  deepStrictEqual(classifier(11).weights, classifier(11).weights);
  notDeepStrictEqual(classifier(12).weights, classifier(11).weights);
});

Deno.test("loadClassifier() refuses a folder without a config.json", async () => {
  await withModel(async (dir) => {
    await Deno.remove(join(dir, "config.json"));
    const error = (dir: string) => ({
      name: "UserError",
      message: `Cannot read a model from '${dir}': it holds no config.json`,
    });
    await rejects(loadClassifier(dir), error(dir));
    const missing = join(dir, "nowhere");
    await rejects(loadForInference(missing), {
      name: "UserError",
      message: `Cannot read a model from '${missing}': there is no such folder`,
    });
    const file = join(dir, "vocab.txt");
    await rejects(loadForInference(file), error(file));
  });
});

Deno.test("loadClassifier() refuses a config.json that is not JSON", async () => {
  await withModel(async (dir) => {
    const file = join(dir, "config.json");
    await Deno.writeTextFile(file, "{");
    await rejects(loadClassifier(dir), {
      name: "UserError",
      message: `Cannot read '${file}': it is not JSON`,
    });
  });
});

Deno.test("loadClassifier() names the key of config.json that is wrong", async () => {
  await withModel(async (dir) => {
    const file = join(dir, "config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    for (
      const [key, value] of [
        ["hidden_size", -128],
        ["hidden_size", undefined],
        ["num_hidden_layers", "2"],
        ["num_attention_heads", 3],
        ["model_type", "gpt2"],
        ["hidden_act", "relu"],
        ["position_embedding_type", "relative_key"],
        ["hidden_dropout_prob", 1],
        ["max_position_embeddings", 2],
        ["num_hidden_layers", 1e9],
        ["hidden_size", 1e12],
        ["intermediate_size", 1e9],
        ["max_position_embeddings", 1e9],
        ["layer_norm_eps", 0],
        ["layer_norm_eps", 1e-60],
        ["layer_norm_eps", 1e308],
        ["layer_norm_eps", null],
        ["vocab_size", 0],
        ["pad_token_id", config.vocab_size],
      ] as const
    ) {
      await Deno.writeTextFile(file, JSON.stringify({ ...config, [key]: value }));
      await rejects(loadClassifier(dir), (error: Error) => {
        deepStrictEqual(error.name, "UserError");
        ok(error.message.startsWith(`Cannot read '${file}': '${key}' `), error.message);
        return true;
      });
    }
  });
});

Deno.test("loadClassifier() refuses weights that lack a tensor", async () => {
  await withModel(async (dir) => {
    await changeTensors(dir, (tensors) => tensors.delete("bert.pooler.dense.bias"));
    await rejects(loadClassifier(dir), {
      name: "UserError",
      message: `Cannot read '${dir}': its weights lack 'bert.pooler.dense.bias'`,
    });
  });
  await withModel(async (dir) => {
    await changeTensors(dir, (tensors) => tensors.delete("classifier.weight"));
    await rejects(loadClassifier(dir), / lack 'classifier.weight'; it is a base, which 'train /);
  });
});

Deno.test("loadClassifier() refuses a tensor of another shape or type", async () => {
  await withModel(async (dir) => {
    const refuses = async (tensor: StoredTensor, got: string) => {
      await changeTensors(dir, (tensors) => tensors.set("classifier.weight", tensor));
      await rejects(loadClassifier(dir), {
        name: "UserError",
        message: `Cannot read '${dir}': ` +
          `'classifier.weight' must be floating-point [3,128], got [${got}]`,
      });
    };
    await refuses({ shape: [128, 3], data: new Float32Array(384) }, "128,3");
    await refuses({ shape: [384], data: new Float32Array(384) }, "384");
    await refuses({ shape: [3, 128], data: new Int32Array(384) }, "3,128");
  });
});

Deno.test("loadClassifier() and loadForInference() refuse sizes that the weights do not have", async () => {
  await withModel(async (dir) => {
    const file = join(dir, "config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    for (
      const [key, value] of [
        ["num_hidden_layers", 900],
        ["vocab_size", 2 ** 40],
        ["intermediate_size", 2 ** 16],
        ["max_position_embeddings", 2 ** 20],
        ["type_vocab_size", 2 ** 40],
      ] as const
    ) {
      await Deno.writeTextFile(file, JSON.stringify({ ...config, [key]: value }));
      for (const load of [loadClassifier, loadForInference]) {
        await rejects(load(dir), (error: Error) => {
          deepStrictEqual(error.name, "UserError");
          ok(error.message.startsWith(`Cannot read '${dir}': `), error.message);
          return true;
        });
      }
    }
  });
});

Deno.test("loadClassifier() refuses weights that are not finite", async () => {
  await withModel(async (dir) => {
    for (const value of [NaN, Infinity, -Infinity]) {
      await changeTensors(
        dir,
        (tensors) => (tensors.get("bert.pooler.dense.weight")!.data as Float32Array)[5] = value,
      );
      await rejects(loadClassifier(dir), {
        name: "UserError",
        message:
          `Cannot read '${dir}': 'bert.pooler.dense.weight' must hold finite numbers, got ${value}`,
      });
    }
  });
});

Deno.test("loadClassifier() reads files of its folder alone", async () => {
  await withModel(async (dir) => {
    for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
      const file = join(dir, name);
      const outside = join(dir, "..", name);
      await Deno.rename(file, outside);
      for (const target of [outside, `../${name}`, name, "/dev/zero"]) {
        await Deno.symlink(target, file);
        await rejects(loadClassifier(dir), {
          name: "UserError",
          message:
            /^Cannot read '.+': a link in a model's folder must lead to a file of that folder/,
        });
        await Deno.remove(file);
      }
      // A link within the folder does no harm.
      await Deno.copyFile(outside, join(dir, `${name}.1`));
      await Deno.symlink(`${name}.1`, file);
      await loadClassifier(dir);
      await Deno.remove(file);
      await Deno.rename(outside, file);
    }
  });
});

Deno.test("loadClassifier() waits for no pipe and reads no folder", async () => {
  await withModel(async (dir) => {
    for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
      const file = join(dir, name);
      const content = await Deno.readFile(file);
      await Deno.remove(file);
      await new Deno.Command("sh", { args: ["-c", `mkfifo '${file}'`] }).output();
      await rejects(loadClassifier(dir), {
        name: "UserError",
        message: `Cannot read '${file}': it is not a regular file`,
      });
      await Deno.remove(file);
      await Deno.mkdir(file);
      await rejects(loadClassifier(dir), {
        name: "UserError",
        message: `Cannot read '${file}': it is a folder`,
      });
      await Deno.remove(file);
      await Deno.writeFile(file, content);
    }
  });
});

Deno.test("TextClassifier.load() refuses an ONNX model that is none", async () => {
  await withModel(async (dir) => {
    await using executor = await Executor.start({ threads: 1 });
    await Deno.remove(join(dir, "model.safetensors"));
    for (const size of [0, 1, 5000]) {
      await Deno.writeFile(join(dir, "onnx/model.onnx"), new Uint8Array(size).fill(0xf7));
      await rejects(TextClassifier.load(executor, dir), (error: Error) => {
        deepStrictEqual(error.name, "UserError");
        ok(error.message.startsWith(`Cannot load the ONNX model of '${dir}': `), error.message);
        ok(!error.message.includes("\n"), error.message);
        return true;
      });
    }
  });
});

Deno.test("loadForInference() reads no tensors of other files", async () => {
  await withModel(async (dir) => {
    await Deno.remove(join(dir, "model.safetensors"));
    // graph.initializer.external_data
    await Deno.writeFile(join(dir, "onnx/model.onnx"), Uint8Array.of(0x3a, 4, 0x2a, 2, 0x6a, 0));
    await rejects(loadForInference(dir), /model\.onnx': a model's tensors must stand in the file/);
  });
});

Deno.test("TextClassifier scores a text alike alone and among longer ones", async () => {
  await withModel(async (dir) => {
    await using executor = await Executor.start({ threads: 1 });
    const classifier = await TextClassifier.load(executor, dir);
    const texts = [...TEXTS, "bake", "", TEXTS.join(" ").repeat(3)];
    const together = await classifier.scores(texts);
    for (const [i, text] of texts.entries()) {
      const [alone] = await classifier.scores([text]);
      deepStrictEqual(alone!.length, LABELS.length);
      for (const [label, score] of alone!.entries()) {
        const difference = Math.abs(together[i]![label]! - score);
        ok(difference < 1e-5, `'${text}' differs by ${difference}`);
      }
    }
    notDeepStrictEqual(together[0], together[1]);
  });
});

Deno.test("TextClassifier.classify() names the classes, the most probable first", async () => {
  await withModel(async (dir) => {
    await using executor = await Executor.start({ threads: 1 });
    const classifier = await TextClassifier.load(executor, dir);
    deepStrictEqual(classifier.labels, LABELS);
    const scores = await classifier.scores(TEXTS);
    for (const [i, row] of (await classifier.classify(TEXTS)).entries()) {
      const values = row.map(({ score }) => score);
      deepStrictEqual(values, values.toSorted((a, b) => b - a));
      ok(Math.abs(values.reduce((sum, value) => sum + value, 0) - 1) < 1e-12);
      for (const { label, score } of row) {
        deepStrictEqual(score, scores[i]![LABELS.indexOf(label)]);
      }
    }
  });
});
