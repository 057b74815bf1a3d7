import { deepStrictEqual, ok, rejects, throws } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { collate } from "../../data/batches.ts";
import type { Executor, InferenceSession } from "../../onnx/runtime/executor.ts";
import { testOnDevices } from "../../tests/support/devices.ts";
import { readAdapter, type StoredAdapter, withBase } from "../formats/adapter.ts";
import { AdapterBank, type BankRow } from "./adapter_bank.ts";
import { tablesOf } from "./bank_tables.ts";
import { readConfig, withLabels } from "../family.ts";
import { copyWithoutPooler } from "../../tests/support/copy_without_pooler.ts";
import { exportModel } from "../onnx_model.ts";

/** A base with 20 positions, and adapters that PEFT tuned on it; its README says how. */
const PEFT = fileURLToPath(new URL("../../tests/peft", import.meta.url));
const BASE = join(PEFT, "base");
const TOLERANCE = 1e-5;

/** Adapters of each kind, of different lengths, one with a pooler, and one with fewer classes. */
async function adapters(): Promise<Map<string, StoredAdapter>> {
  const found = new Map<string, StoredAdapter>();
  for (const name of ["prefix", "projection", "prompt", "lora", "lora_all", "lora_pooler"]) {
    found.set(name, await readAdapter(join(PEFT, name)));
  }
  const prefix = found.get("prefix")!;
  const { config } = await withBase(prefix, BASE);
  const { weights } = prefix;
  found.set("two classes", {
    ...prefix,
    labelCount: 2,
    config: withLabels(config, ["yes", "no"]),
    weights: {
      ...weights,
      "classifier.weight": weights["classifier.weight"]!.slice(0, 16),
      "classifier.bias": weights["classifier.bias"]!.slice(1),
    },
  });
  return found;
}

/** A bank with tables for all adapters. */
async function loadBank(executor: Executor): Promise<AdapterBank> {
  const tables = tablesOf([...(await adapters()).values()], await readConfig(BASE));
  return await AdapterBank.load(executor, BASE, { tables });
}

/** Each adapter as a separate model. */
async function alone(executor: Executor, adapter: StoredAdapter): Promise<InferenceSession> {
  const { config, weights, peft } = await withBase(adapter, BASE);
  return await executor.loadSession(exportModel(config, weights, { peft }));
}

async function logitsAlone(session: InferenceSession, { ids, secondStart }: BankRow) {
  const feeds = collate([ids], 0);
  if (secondStart !== undefined) (feeds.token_type_ids.data as BigInt64Array).fill(1n, secondStart);
  const { logits } = await session.run(feeds);
  return logits!.data as Float32Array;
}

/** Checks ‖actual − expected‖ / ‖expected‖: single logits are rounded at the size of all. */
function close(actual: Float32Array, expected: Float32Array, what: string): void {
  deepStrictEqual(actual.length, expected.length, what);
  const error = Math.hypot(...actual.map((value, i) => value - expected[i]!)) /
    Math.hypot(...expected);
  ok(error < TOLERANCE, `${what}: ${actual}, not ${expected}`);
}

testOnDevices("each row of a mixed batch gets the logits it gets alone", async (executor) => {
  const bank = await loadBank(executor);
  const sessions = new Map<string, InferenceSession>();
  for (const [name, adapter] of await adapters()) {
    sessions.set(name, await alone(executor, adapter));
    await bank.add(name, structuredClone(adapter));
  }
  const row = fc.record({
    adapter: fc.constantFrom(...sessions.keys()),
    ids: fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 16 }),
    secondStart: fc.integer({ min: 1, max: 16 }),
  }).map(({ secondStart, ...row }): BankRow =>
    secondStart < row.ids.length ? { ...row, secondStart } : row
  );
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), async (batch) => {
      const logits = await bank.logits(batch);
      for (const [i, row] of batch.entries()) {
        close(logits[i]!, await logitsAlone(sessions.get(row.adapter)!, row), row.adapter);
      }
    }),
    { numRuns: executor.choice.device === "webgpu" ? 3 : 30 },
  );
});

testOnDevices("adapters come and go while the base stays", async (executor) => {
  const bank = await loadBank(executor);
  const all = await adapters();
  const rows = (names: readonly string[]) =>
    names.map((adapter): BankRow => ({ adapter, ids: [2, 5, 8, 3] }));
  for (const [name, adapter] of all) await bank.add(name, structuredClone(adapter));
  const before = await bank.logits(rows([...all.keys()]));
  const bytes = bank.bytes;
  bank.remove("prefix");
  bank.remove("prompt");
  ok(bank.bytes < bytes);
  throws(() => bank.get("prefix"), /There is no adapter 'prefix'/);
  await rejects(bank.logits(rows(["prefix"])), /There is no adapter 'prefix'/);
  // The other way round, so that adapters get each other's rows.
  await bank.add("prompt", structuredClone(all.get("prompt")!));
  await bank.add("prefix", structuredClone(all.get("prefix")!));
  deepStrictEqual(bank.bytes, bytes);
  const after = await bank.logits(rows([...all.keys()]));
  for (const [i, logits] of after.entries()) close(logits, before[i]!, `row ${i}`);
  deepStrictEqual(bank.get("two classes").labels, ["yes", "no"]);
});

testOnDevices("adapters change while batches are under way", async (executor) => {
  const bank = await loadBank(executor);
  const all = await adapters();
  const names = [...all.keys()];
  const ids = [2, 5, 8, 3];
  const expected = new Map<string, Float32Array>();
  for (const [name, adapter] of all) {
    expected.set(name, await logitsAlone(await alone(executor, adapter), { adapter: name, ids }));
  }
  const checked: Promise<void>[] = [];
  // Each adapter takes the rows of the removed one, whose batch has not ended.
  for (let round = 0; round < 12; round++) {
    const name = names[round % names.length]!;
    await bank.add(name, structuredClone(all.get(name)!));
    const batch = bank.logits(Array.from({ length: 3 }, () => ({ adapter: name, ids })));
    checked.push(batch.then((rows) => {
      for (const logits of rows) close(logits, expected.get(name)!, name);
    }));
    bank.remove(name);
  }
  await Promise.all(checked);
  deepStrictEqual(bank.bytes, 0);
});

testOnDevices("a base without a pooler takes the adapters that have one", async (executor) => {
  const dir = await Deno.makeTempDir();
  try {
    await copyWithoutPooler(BASE, dir);
    const all = await adapters();
    const own = all.get("lora_pooler")!;
    const tables = tablesOf([...all.values()], await readConfig(dir));
    const bank = await AdapterBank.load(executor, dir, { tables });
    await bank.add("first", structuredClone(own));
    await bank.add("second", structuredClone(own));
    const ids = [2, 5, 8, 3];
    const expected = await logitsAlone(await alone(executor, own), { adapter: "first", ids });
    for (
      const logits of await bank.logits([{ adapter: "first", ids }, { adapter: "second", ids }])
    ) {
      close(logits, expected, "a row");
    }
    await rejects(bank.add("third", structuredClone(all.get("lora_all")!)), {
      name: "UserError",
      message: `Cannot use '${join(PEFT, "lora_all")}' on '${dir}': neither of them has a pooler`,
    });
    await rejects(AdapterBank.load(executor, dir), /its weights lack 'bert.pooler.dense.weight'$/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

testOnDevices("a bank on a device that is full takes no more", async (executor) => {
  const bank = await AdapterBank.load({
    loadTableSession: async (...args) => ({
      ...await executor.loadTableSession(...args),
      maxRows: () => Promise.resolve(5),
    }),
  }, BASE);
  const all = await adapters();
  await bank.add("prefix", structuredClone(all.get("prefix")!));
  const bytes = bank.bytes;
  await rejects(bank.add("second", structuredClone(all.get("prefix")!)), {
    name: "BankFullError",
    message: `Cannot add '${join(PEFT, "prefix")}' to the adapters in memory: its prefixes take ` +
      "3 rows of a table, and of 5 that the device can hold there are 1 left",
  });
  deepStrictEqual(bank.bytes, bytes);
  bank.remove("prefix");
  await bank.add("second", structuredClone(all.get("prefix")!));
});

testOnDevices(
  "a bank refuses what does not fit into its memory or on its base",
  async (executor) => {
    // 3 virtual tokens of 32 values, and 3 classes of 9.
    const bytes = 4 * (3 * 32 + 3 * 9);
    const bank = await AdapterBank.load(executor, BASE, { memoryBudgetBytes: bytes + 10 });
    const prefix = await readAdapter(join(PEFT, "prefix"));
    await bank.add("first", structuredClone(prefix));
    deepStrictEqual(bank.bytes, bytes);
    await rejects(bank.add("second", structuredClone(prefix)), {
      name: "BankFullError",
      message: `Cannot add '${prefix.dir}' to the adapters in memory: it takes 0.5 kB, and of ` +
        "0.5 kB there are 0.0 kB left",
    });
    await rejects(
      bank.add("third", { ...prefix, base: { name: "elsewhere", sha256: "0" } }),
      /it was tuned on 'elsewhere' with 0$/,
    );
    deepStrictEqual(bank.bytes, bytes);
  },
);
