import { deepStrictEqual, match } from "node:assert";
import { TrainSettings, withModelDefaults } from "./settings.ts";
import type { TrainSettingsInput } from "./settings_input.ts";

Deno.test("TrainSettings refuse what does not go with a frozen base", () => {
  for (
    const [settings, message] of [
      [{ model: "scratch:tiny" }, /'scratch:tiny' has random weights, and a frozen base/],
      [{ freeze: "bert.*" }, /prefix freezes the whole base/],
      [{ mode: "prompt", prefixProjection: true }, /a prompt has none/],
      [{ initFrom: "vocab" }, /words are no keys/],
      [{ prefixProjection: true, initFrom: "file" }, /a projection starts from random values/],
      [{ prefixLength: 0 }, /must be a whole number from 1 to 512/],
    ] as [TrainSettingsInput, RegExp][]
  ) {
    const { error } = TrainSettings.safeParse({ mode: "prefix", ...settings });
    match(error!.message, message);
  }
});

Deno.test("withModelDefaults() takes P-tuning v2's rate and epochs where the base is frozen", () => {
  for (
    const [settings, rate] of [
      [{ mode: "prefix" }, 2e-2],
      [{ mode: "prefix", prefixProjection: true }, 1e-4],
      [{ mode: "prompt" }, 1e-2],
    ] as const
  ) {
    const { learningRate, epochs, prefixLength } = withModelDefaults(
      TrainSettings.parse({ ...settings, model: "some/base" }),
    );
    deepStrictEqual([learningRate, epochs, prefixLength], [rate, 20, 16]);
  }
});

Deno.test("withModelDefaults() takes higher rates on the bundled base", () => {
  const defaults = (mode: "full" | "prefix") => {
    const { learningRate, epochs } = withModelDefaults(TrainSettings.parse({ mode }));
    return [learningRate, epochs];
  };
  deepStrictEqual([defaults("full"), defaults("prefix")], [[5e-4, 6], [4e-2, 30]]);
});

Deno.test("withModelDefaults() takes more epochs of few texts, where a pretrained base is trained whole", () => {
  const epochs = (examples: number, settings: TrainSettingsInput = {}, labels = 6) =>
    withModelDefaults(TrainSettings.parse(settings), undefined, { examples, labels }).epochs;
  deepStrictEqual([20_000, 1000, 500, 100].map((examples) => epochs(examples)), [6, 6, 7, 20]);
  deepStrictEqual([2, 44, 200].map((labels) => epochs(1000, {}, labels)), [6, 15, 20]);
  deepStrictEqual(epochs(1000, { batchSize: 64 }), 13);
  deepStrictEqual(epochs(1000, { epochs: 2 }), 2);
  deepStrictEqual(epochs(1000, { model: "scratch:tiny" }), 8);
  deepStrictEqual(epochs(1000, { mode: "lora" }), 10);
});
