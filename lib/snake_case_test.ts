import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { camelCase, mapKeys, snakeCase } from "./snake_case.ts";

Deno.test("snakeCase() and camelCase() rename settings", () => {
  for (
    const [camel, snake] of [
      ["learningRate", "learning_rate"],
      ["maxTrainSamples", "max_train_samples"],
      ["seed", "seed"],
      ["beta2Decay", "beta2_decay"],
    ] as const
  ) {
    deepStrictEqual(snakeCase(camel), snake);
    deepStrictEqual(camelCase(snake), camel);
  }
});

Deno.test("camelCase() undoes snakeCase()", () => {
  fc.assert(fc.property(fc.stringMatching(/^[a-z][A-Za-z0-9]*$/), (name) => {
    deepStrictEqual(camelCase(snakeCase(name)), name);
  }));
});

Deno.test("mapKeys() renames the keys and keeps the values", () => {
  deepStrictEqual(
    mapKeys<unknown>(
      { batchSize: 16, model: "scratch:tinyOne", warmupRatio: { maxRatio: 1 } },
      snakeCase,
    ),
    { batch_size: 16, model: "scratch:tinyOne", warmup_ratio: { maxRatio: 1 } },
  );
  deepStrictEqual(mapKeys({}, snakeCase), {});
});
