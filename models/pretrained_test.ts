import { deepStrictEqual, match, notDeepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { saveClassifier } from "./formats/classifier_folder.ts";
import { readConfig } from "./family.ts";
import { labelsOf } from "./formats/config.ts";
import { pretrainedClassifier } from "./pretrained.ts";
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from "./formats/safetensors.ts";
import { scratchClassifier } from "./scratch.ts";

const TEXTS = ["a duet for two pianos", "bread from sour dough", "how to tune a piano"];
const LABELS = ["food", "music"];
const OPTIONS = { seed: 12, maxLength: 32 };
const { weights: WEIGHTS, ...REST } = scratchClassifier("tiny", TEXTS, LABELS, {
  seed: 11,
  maxLength: 64,
});

type Tensors = Map<string, StoredTensor>;

/** Runs a test on a checkpoint whose tensors, or other files, were changed. */
async function withCheckpoint(
  change: (tensors: Tensors, dir: string) => Tensors | Promise<Tensors>,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await saveClassifier(dir, { ...REST, weights: WEIGHTS });
    const file = join(dir, "model.safetensors");
    const { tensors, metadata } = decodeSafetensors(await Deno.readFile(file), file);
    await Deno.remove(file);
    const changed = await change(tensors, dir);
    if (changed.size > 0) {
      await Deno.writeFile(file, encodeSafetensors({ tensors: changed, metadata }));
    }
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function renamed(tensors: Tensors, rename: (name: string) => string): Tensors {
  return new Map([...tensors].map(([name, tensor]) => [rename(name), tensor]));
}

async function changedConfig(
  tensors: Tensors,
  dir: string,
  change: Record<string, unknown>,
): Promise<Tensors> {
  const file = join(dir, "config.json");
  const config = JSON.parse(await Deno.readTextFile(file));
  await Deno.writeTextFile(file, JSON.stringify({ ...config, ...change }));
  return tensors;
}

function without(tensors: Tensors, prefix: string): Tensors {
  return new Map([...tensors].filter(([name]) => !name.startsWith(prefix)));
}

for (
  const [form, rename] of [
    ["as transformers writes it", (name) => name],
    ["without the prefix 'bert.'", (name) => name.replace(/^bert\./, "")],
    [
      "converted from TensorFlow",
      (name) =>
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
          .replace("LayerNorm.bias", "LayerNorm.beta"),
    ],
  ] as [string, (name: string) => string][]
) {
  Deno.test(`pretrainedClassifier() reads a checkpoint ${form}`, async () => {
    await withCheckpoint((tensors) => renamed(tensors, rename), async (dir) => {
      const { weights, notes } = await pretrainedClassifier(dir, LABELS, OPTIONS);
      deepStrictEqual(weights, WEIGHTS);
      deepStrictEqual(notes, []);
    });
  });
}

Deno.test("pretrainedClassifier() reads a checkpoint in shards", async () => {
  await withCheckpoint(async (tensors, dir) => {
    const names = [...tensors.keys()];
    const weight_map: Record<string, string> = {};
    for (const [i, shard] of [names.slice(0, 7), names.slice(7)].entries()) {
      const file = `model-0000${i + 1}-of-00002.safetensors`;
      for (const name of shard) weight_map[name] = file;
      const part = new Map(shard.map((name) => [name, tensors.get(name)!]));
      await Deno.writeFile(join(dir, file), encodeSafetensors({ tensors: part, metadata: {} }));
    }
    const index = JSON.stringify({ metadata: {}, weight_map });
    await Deno.writeTextFile(join(dir, "model.safetensors.index.json"), index);
    return new Map();
  }, async (dir) => {
    deepStrictEqual((await pretrainedClassifier(dir, LABELS, OPTIONS)).weights, WEIGHTS);
  });
});

Deno.test("pretrainedClassifier() draws a head for other classes, and says so", async () => {
  await withCheckpoint((tensors) => tensors, async (dir) => {
    const labels = ["a", "b", "c"];
    const { config, weights, notes } = await pretrainedClassifier(dir, labels, OPTIONS);
    deepStrictEqual(labelsOf(config), labels);
    deepStrictEqual(config["architectures"], ["BertForSequenceClassification"]);
    deepStrictEqual(weights["classifier.weight"]!.length, 3 * 128);
    deepStrictEqual(weights["bert.pooler.dense.weight"], WEIGHTS["bert.pooler.dense.weight"]);
    deepStrictEqual(notes.length, 1);
    match(notes[0]!, /no head for these classes: a new one is drawn from seed 12/);
    deepStrictEqual((await pretrainedClassifier(dir, labels, OPTIONS)).weights, weights);
    const other = await pretrainedClassifier(dir, labels, { ...OPTIONS, seed: 13 });
    notDeepStrictEqual(other.weights["classifier.weight"], weights["classifier.weight"]);
  });
});

Deno.test("pretrainedClassifier() keeps the head of the same classes in another order", async () => {
  await withCheckpoint((tensors) => tensors, async (dir) => {
    const { config, weights, notes } = await pretrainedClassifier(dir, ["music", "food"], OPTIONS);
    deepStrictEqual(labelsOf(config), ["music", "food"]);
    deepStrictEqual(notes, []);
    const [head, bias] = ["classifier.weight", "classifier.bias"] as const;
    const [food, music] = [0, 1].map((row) => WEIGHTS[head]!.subarray(row * 128, (row + 1) * 128));
    deepStrictEqual(weights[head]!.subarray(0, 128), music);
    deepStrictEqual(weights[head]!.subarray(128), food);
    deepStrictEqual(weights[bias], WEIGHTS[bias]!.toReversed());
  });
});

for (
  const [what, id2label, expected] of [
    ["numbers", { 0: 5, 1: 7 }, ["5", "7"]],
    ["a list", ["food", "music"], ["food", "music"]],
    ["nothing", null, ["LABEL_0", "LABEL_1"]],
    ["no names", { 0: null, 1: null, 2: null }, ["LABEL_0", "LABEL_1", "LABEL_2"]],
  ] as const
) {
  Deno.test(`pretrainedClassifier() reads an id2label of ${what}`, async () => {
    await withCheckpoint(
      (tensors, dir) => changedConfig(without(tensors, "classifier."), dir, { id2label }),
      async (dir) => {
        deepStrictEqual(labelsOf(await readConfig(dir)), expected);
        deepStrictEqual(
          labelsOf((await pretrainedClassifier(dir, LABELS, OPTIONS)).config),
          LABELS,
        );
      },
    );
  });
}

Deno.test("pretrainedClassifier() draws the pooler that a checkpoint lacks", async () => {
  await withCheckpoint((tensors) => without(tensors, "bert.pooler."), async (dir) => {
    const { weights, hasNewPooler, notes } = await pretrainedClassifier(dir, LABELS, OPTIONS);
    ok(hasNewPooler);
    notDeepStrictEqual(weights["bert.pooler.dense.weight"], WEIGHTS["bert.pooler.dense.weight"]);
    deepStrictEqual(weights["classifier.weight"], WEIGHTS["classifier.weight"]);
    match(notes.join(), /no pooler/);
    await rejects(
      pretrainedClassifier(dir, LABELS, { ...OPTIONS, drawsPooler: false }),
      /^UserError: Cannot leave '.*' as it is: its weights lack 'bert.pooler.dense.weight'/,
    );
  });
});

Deno.test("pretrainedClassifier() cuts texts to what is asked for, whatever the base was saved with", async () => {
  await withCheckpoint((tensors) => tensors, async (dir) => {
    const long = "piano ".repeat(100);
    for (const [maxLength, expected] of [[32, 32], [80, 80]] as const) {
      const { tokenizer } = await pretrainedClassifier(dir, LABELS, { ...OPTIONS, maxLength });
      deepStrictEqual(tokenizer.encode(long).ids.length, expected);
    }
  });
});

for (
  const [fault, change, message] of [
    [
      "a missing tensor",
      (tensors) => without(tensors, "bert.encoder.layer.1.output.dense.bias"),
      /its weights lack 'bert.encoder.layer.1.output.dense.bias'$/,
    ],
    [
      "a tensor of another shape",
      (tensors) => tensors.set("bert.pooler.dense.bias", { shape: [2], data: new Float32Array(2) }),
      /'bert.pooler.dense.bias' must be floating-point \[128\], got \[2\]$/,
    ],
    [
      "more tokens than embeddings",
      (tensors, dir) => changedConfig(tensors, dir, { vocab_size: 9 }),
      /its tokenizer has \d+ tokens, its embeddings 9$/,
    ],
    [
      "no weights but its ONNX model",
      () => new Map(),
      /it holds no model.safetensors, but an ONNX model alone, which can predict and cannot be trained$/,
    ],
    [
      "no weights at all",
      async (_, dir) => {
        await Deno.remove(join(dir, "onnx"), { recursive: true });
        return new Map();
      },
      /it holds no model.safetensors$/,
    ],
    [
      "PyTorch's pickle alone",
      async (_, dir) => {
        await Deno.writeTextFile(join(dir, "pytorch_model.bin"), "");
        return new Map();
      },
      /but pytorch_model.bin, which Graft does not read; in Python transformers.BertForSequenceClassification.from_pretrained\(/,
    ],
    [
      "TensorFlow's file alone",
      async (_, dir) => {
        await Deno.writeTextFile(join(dir, "tf_model.h5"), "");
        return new Map();
      },
      /but tf_model.h5, which .*transformers 4.48, .*from_pretrained\(".*", from_tf=True\)/,
    ],
    [
      "Flax's file alone",
      async (_, dir) => {
        await Deno.writeTextFile(join(dir, "flax_model.msgpack"), "");
        return new Map();
      },
      /but flax_model.msgpack, which .*transformers 4.48, .*from_pretrained\(".*", from_flax=True\)/,
    ],
    [
      "a file of llama.cpp alone",
      async (_, dir) => {
        await Deno.writeTextFile(join(dir, "model.gguf"), "");
        return new Map();
      },
      /but model.gguf, which Graft does not read; look for the same model in the form/,
    ],
    [
      "an adapter's files alone",
      async (_, dir) => {
        await Deno.writeTextFile(join(dir, "adapter_config.json"), "{}");
        return new Map();
      },
      /but an adapter; name its base instead/,
    ],
    [
      "weights of another family",
      (tensors) => renamed(tensors, (name) => `roberta.${name}`),
      /its config.json is of the family 'bert', and none of its weights has a name of that; the first is 'roberta/,
    ],
    [
      "its model in the first folder of sentence-transformers",
      async (tensors, dir) => {
        await Deno.mkdir(join(dir, "0_Transformer"));
        await Deno.rename(join(dir, "config.json"), join(dir, "0_Transformer", "config.json"));
        return tensors;
      },
      /it is a folder of sentence-transformers, whose model is in '.*0_Transformer': name that$/,
    ],
    [
      "a decoder's configuration",
      (tensors, dir) => changedConfig(tensors, dir, { is_decoder: true }),
      /'is_decoder' is true, and Graft tunes encoders$/,
    ],
    [
      "no model_type",
      (tensors, dir) => changedConfig(tensors, dir, { model_type: undefined }),
      /'model_type' must name the family of the model; there is none$/,
    ],
  ] as [string, Parameters<typeof withCheckpoint>[0], RegExp][]
) {
  Deno.test(`pretrainedClassifier() refuses a checkpoint with ${fault}`, async () => {
    await withCheckpoint(change, async (dir) => {
      await rejects(pretrainedClassifier(dir, LABELS, OPTIONS), { name: "UserError", message });
    });
  });
}
