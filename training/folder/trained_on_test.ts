import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { readExamples } from "../../data/examples.ts";
import { stratifiedSample } from "../../data/stratified_sample.ts";
import { withFolder } from "../../tests/support/with_folder.ts";
import { writeSeenTexts } from "./seen_texts.ts";
import { evaluationFileOf, trainingTextsOf } from "./trained_on.ts";

Deno.test("evaluationFileOf() gives the test file of the data, or the validation file", async () => {
  const files = { "data/val_simple.csv": "text,label\none,a\n" };
  await withFolder(files, async (dir) => {
    const args = { data: join(dir, "data") };
    await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
    deepStrictEqual(await evaluationFileOf(dir), join(dir, "data", "val_simple.csv"));
    const test = join(dir, "data", "test_simple.csv");
    await Deno.writeTextFile(test, "text,label\ntwo,b\n");
    deepStrictEqual(await evaluationFileOf(dir), test);
  });
});

Deno.test("evaluationFileOf() refuses a folder that does not say where the data are", async () => {
  await withFolder({}, async (dir) => {
    await rejects(evaluationFileOf(dir), /^UserError: Cannot tell what '.*' was trained on/);
  });
});

Deno.test("evaluationFileOf() refuses arguments that no run wrote", async () => {
  for (const content of ["{}", "[]", '{"data": 7}', "{"]) {
    await withFolder({ "training_args.json": content }, async (dir) => {
      await rejects(evaluationFileOf(dir), {
        name: "UserError",
        message: /training_args\.json': /,
      });
    });
  }
});

Deno.test("trainingTextsOf() gives the texts that the run was trained on", async () => {
  const rows = ["one,a", "two,b", "three,a", "four,b"];
  const files = { "data/train_simple.csv": ["text,label", ...rows].join("\n") };
  await withFolder(files, async (dir) => {
    const args = { data: join(dir, "data"), max_train_samples: 2, seed: 3 };
    await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
    const examples = await readExamples(join(dir, "data", "train_simple.csv"));
    const sample = stratifiedSample(examples, {
      count: 2,
      seed: 3,
      problemType: "single_label_classification",
    });
    const texts = Array.from(sample, ({ text }) => text);
    deepStrictEqual(await trainingTextsOf(dir), new Set(texts));
    await Deno.remove(join(dir, "data"), { recursive: true });
    deepStrictEqual(await trainingTextsOf(dir), undefined);
    await writeSeenTexts(dir, texts);
    const known = (await trainingTextsOf(dir))!;
    const seen = ["one", "two", "three", "four", ""].filter((text) => known.has(text));
    deepStrictEqual(seen.sort(), texts.sort());
  });
});

Deno.test("trainingTextsOf() reads labels as the run read them", async () => {
  await withFolder({ "data/train_simple.csv": "text,label\none,a|b\ntwo,\n" }, async (dir) => {
    const args = { data: join(dir, "data"), problem_type: "multi_label_classification" };
    await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
    deepStrictEqual(await trainingTextsOf(dir), new Set(["one", "two"]));
  });
});
