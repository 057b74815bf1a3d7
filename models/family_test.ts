import { deepStrictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import { readConfig, tuningDefaults } from "./family.ts";

const BASE = fileURLToPath(new URL("../tests/peft/base", import.meta.url));

Deno.test("tuningDefaults() takes a higher rate for a narrow model, and the family's from 768 on", async () => {
  const config = await readConfig(BASE);
  const rate = (hidden_size: number) => tuningDefaults({ ...config, hidden_size }).learningRate;
  deepStrictEqual([1024, 768, 384, 128].map(rate), [5e-5, 5e-5, 2e-4, 5e-4]);
});
