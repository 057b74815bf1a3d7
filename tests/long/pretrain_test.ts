import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readConfig } from "../../models/family.ts";
import { SafetensorsFile } from "../../models/formats/safetensors.ts";
import type { PretrainEvent } from "../../training/events.ts";
import { readUnfinishedPretraining } from "../../training/pretraining/args.ts";
import { pretrain } from "../../training/pretraining/pretrain.ts";
import { PretrainSettings } from "../../training/pretraining/settings.ts";
import { TrainSettings } from "../../training/settings.ts";
import { TrainingInterrupted } from "../../training/interrupted.ts";
import { train } from "../../training/train.ts";

/** A small BERT; the folder's README says where it is from. */
const BASE = fileURLToPath(new URL("../peft/base", import.meta.url));
/** Sentences in which each word follows from the others. */
const SUBJECTS = { dog: "barks", cat: "purrs", cow: "moos", owl: "hoots" };
const TEXT = Array.from({ length: 400 }, (_, i) => {
  const [animal, sound] = Object.entries(SUBJECTS)[i % 4]!;
  return `${["the", "a", "one"][i % 3]} ${animal} ${sound} ${i % 2 === 0 ? "loudly" : "softly"}`;
}).map((line, i) => `${line} ${["today", "again", "now", "here", "there"][i % 5]}`).join("\n");

async function inTempDir(test: (dir: string, texts: string[]) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, "texts.txt");
    await Deno.writeTextFile(file, TEXT);
    await test(dir, [file]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function parsed(settings: Partial<PretrainSettings> = {}): PretrainSettings {
  return PretrainSettings.parse({
    model: "scratch:tiny",
    vocabularySize: 120,
    maxLength: 24,
    batchSize: 8,
    epochs: 30,
    dropout: 0,
    learningRate: 3e-3,
    threads: 1,
    device: "wasm",
    ...settings,
  });
}

async function weightsOf(dir: string): Promise<Uint8Array> {
  return await Deno.readFile(join(dir, "model.safetensors"));
}

Deno.test("pretrain() learns to guess words, and train() takes what it has learned", async () => {
  await inTempDir(async (dir, texts) => {
    const outDir = join(dir, "base");
    const events: PretrainEvent[] = [];
    const result = await pretrain({
      settings: parsed({ epochs: 10, evalSteps: 20 }),
      texts,
      outDir,
      onEvent: (event) => events.push(event),
    });
    const losses = events.flatMap((event) =>
      event.type === "pretrain_evaluation" ? event.loss : []
    );
    strictEqual(losses.at(-1), result.held_out_loss);
    // To know nothing but that there are 20 words would leave 3.
    ok(losses.at(-1)! < 2 && losses.at(-1)! < losses[0]!, `${losses}`);
    deepStrictEqual((await readConfig(outDir))["architectures"], ["BertForMaskedLM"]);
    using file = await SafetensorsFile.open(join(outDir, "model.safetensors"));
    const names = [...file.names()];
    ok(names.includes("cls.predictions.transform.dense.weight"));
    ok(!names.some((name) => name.startsWith("distillation")));

    const examples = Object.keys(SUBJECTS).map((animal) => ({
      text: `a ${animal}`,
      label: animal,
    }));
    const { metrics } = await train(
      {
        dir: "/data",
        labels: Object.keys(SUBJECTS),
        train: examples,
        validation: examples,
        test: [],
      },
      {
        settings: TrainSettings.parse({ model: outDir, epochs: 1, threads: 1, device: "wasm" }),
        outDir: join(dir, "run"),
      },
    );
    strictEqual(metrics.n, 4);
  });
});

Deno.test("pretrain() goes on to the same bytes after it was stopped", async () => {
  await inTempDir(async (dir, texts) => {
    const settings = parsed({ epochs: 2, gradientAccumulationSteps: 2, dropout: 0.1 });
    const whole = join(dir, "whole");
    await pretrain({ settings, texts, outDir: whole });

    const outDir = join(dir, "stopped");
    const stopping = new AbortController();
    await rejects(
      pretrain({
        settings,
        texts,
        outDir,
        signal: stopping.signal,
        onEvent: (event) => {
          if (event.type === "step" && event.step === 5) stopping.abort();
        },
      }),
      TrainingInterrupted,
    );
    const args = await readUnfinishedPretraining(outDir);
    const { stepMemory, ...given } = args.settings;
    deepStrictEqual(given, settings);
    ok(stepMemory! > 0);
    await pretrain({ ...args, outDir, resume: true });
    deepStrictEqual(await weightsOf(outDir), await weightsOf(whole));
  });
});

Deno.test("pretrain() keeps what it has encoded if it dies before its first checkpoint is due", async () => {
  await inTempDir(async (dir, texts) => {
    const settings = parsed({ epochs: 1, teacher: BASE });
    const whole = join(dir, "whole");
    await pretrain({ settings, texts, outDir: whole });

    const outDir = join(dir, "killed");
    const onEvent = (event: PretrainEvent) => {
      if (event.type === "step" && event.step === 3) throw new Error("killed");
    };
    await rejects(pretrain({ settings, texts, outDir, onEvent }), /killed/);
    // It is not read again.
    await Deno.remove(texts[0]!);
    await pretrain({ ...await readUnfinishedPretraining(outDir), outDir, resume: true });
    deepStrictEqual(await weightsOf(outDir), await weightsOf(whole));
  });
});

Deno.test("pretrain() learns the embeddings of a teacher, and keeps a pooler for them", async () => {
  await inTempDir(async (dir, texts) => {
    const outDir = join(dir, "base");
    const losses: number[] = [];
    await pretrain({
      settings: parsed({ teacher: BASE, teacherWeight: 1000, epochs: 8, float16: true }),
      texts,
      outDir,
      onEvent: (event) => {
        if (event.type === "step") losses.push(event.loss);
      },
    });
    ok(losses.at(-1)! < losses[0]! / 4, `${losses[0]} to ${losses.at(-1)}`);
    using file = await SafetensorsFile.open(join(outDir, "model.safetensors"));
    const { data } = await file.read("bert.pooler.dense.weight");
    const rounded = Float32Array.from(new Float16Array(data as Float32Array));
    deepStrictEqual(data, rounded, "stored in half precision");
  });
});

Deno.test("pretrain() goes on with a base, and leaves its pooler as it is", async () => {
  await inTempDir(async (dir, texts) => {
    const outDir = join(dir, "base");
    await pretrain({ settings: parsed({ model: BASE, epochs: 1, maxLength: 16 }), texts, outDir });
    using before = await SafetensorsFile.open(join(BASE, "model.safetensors"));
    using after = await SafetensorsFile.open(join(outDir, "model.safetensors"));
    const [pooler, words] = ["bert.pooler.dense.weight", "bert.embeddings.word_embeddings.weight"];
    deepStrictEqual((await after.read(pooler!)).data, (await before.read(pooler!)).data);
    ok(String((await after.read(words!)).data) !== String((await before.read(words!)).data));
  });
});

Deno.test("pretrain() says what it cannot use", async () => {
  await inTempDir(async (dir, texts) => {
    const outDir = join(dir, "base");
    await rejects(pretrain({ settings: parsed(), texts: [join(dir, "no.txt")], outDir }), {
      message: `Cannot read '${join(dir, "no.txt")}': no such file`,
    });
    await rejects(Deno.stat(outDir), Deno.errors.NotFound);
    await Deno.writeTextFile(join(dir, "empty.txt"), "\n");
    await rejects(
      pretrain({ settings: parsed({ model: BASE }), texts: [join(dir, "empty.txt")], outDir }),
      /no text is left for training/,
    );
    await pretrain({ settings: parsed({ maxSteps: 1 }), texts, outDir, overwrite: true });
    // Before anything is read.
    const unread = [join(dir, "no.txt")];
    await rejects(pretrain({ settings: parsed(), texts: unread, outDir }), /holds a finished run/);
    await rejects(pretrain({ settings: parsed(), texts, outDir, resume: true }), /it is finished/);
  });
});
