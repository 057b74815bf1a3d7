import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import fc from "fast-check";
import type { EncodedText } from "../models/inference.ts";
import { Batcher, type BatchGroup, cutBatches } from "./batcher.ts";

function text(length: number, first = 0): EncodedText {
  return { ids: [first, ...new Array<number>(length - 1).fill(0)] };
}

/** Answers each row with its first token, and remembers its batches. */
class Echo implements BatchGroup {
  readonly batches: EncodedText[][] = [];

  async logits(rows: readonly EncodedText[]): Promise<Float32Array[]> {
    this.batches.push([...rows]);
    await Promise.resolve();
    return rows.map(({ ids }) => Float32Array.of(ids[0]!));
  }
}

/** Answers only when it is told to. */
class Gate extends Echo {
  readonly open: () => void;
  readonly #opened: Promise<void>;

  constructor() {
    super();
    ({ promise: this.#opened, resolve: this.open } = Promise.withResolvers<void>());
  }

  override async logits(rows: readonly EncodedText[]): Promise<Float32Array[]> {
    const logits = super.logits(rows);
    await this.#opened;
    return logits;
  }
}

const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 40 });
const budget = fc.integer({ min: 1, max: 200 });

Deno.test("cutBatches() puts each row into one batch within the budget, the longest first", () => {
  fc.assert(fc.property(lengths, budget, (lengths, maxTokens) => {
    const rows = lengths.map((length, id) => ({ length, id }));
    const batches = cutBatches(rows, maxTokens);
    deepStrictEqual(
      batches.flat().map(({ id }) => id).sort((a, b) => a - b),
      rows.map(({ id }) => id),
    );
    const inOrder = batches.flat().map(({ length }) => length);
    deepStrictEqual(inOrder, inOrder.toSorted((a, b) => b - a));
    for (const [i, batch] of batches.entries()) {
      ok(batch.length === 1 || batch[0]!.length * batch.length <= maxTokens);
      // A batch ends only where another row would be too much.
      if (i < batches.length - 1) ok(batch[0]!.length * (batch.length + 1) > maxTokens);
    }
  }));
});

Deno.test("Batcher gives each request its own rows in order, whatever they travelled with", async () => {
  const requests = fc.array(
    fc.record({
      group: fc.nat(2),
      lengths: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
    }),
  );
  await fc.assert(fc.asyncProperty(requests, budget, async (requests, maxBatchTokens) => {
    const batcher = new Batcher({ maxBatchTokens });
    const groups = [new Echo(), new Echo(), new Echo()];
    let id = 0;
    await Promise.all(requests.map(async ({ group, lengths }) => {
      const rows = lengths.map((length) => text(length, id++));
      const { logits } = await batcher.run(groups[group]!, rows);
      deepStrictEqual(logits.map(([value]) => value), rows.map(({ ids }) => ids[0]));
    }));
    const batches = groups.flatMap(({ batches }) => batches);
    strictEqual(batches.flat().length, id);
    for (const batch of batches) {
      ok(batch.length === 1 || batch[0]!.ids.length * batch.length <= maxBatchTokens);
    }
  }));
});

Deno.test("Batcher lets requests gather while the device works, and nobody waits behind later ones", async () => {
  const gate = new Gate();
  const batcher = new Batcher({ maxBatchTokens: 20 });
  const first = batcher.run(gate, [text(2)]);
  await Promise.resolve();
  const second = batcher.run(gate, [text(3, 1)]);
  const later = Array.from({ length: 4 }, () => batcher.run(gate, [text(10, 2)]));
  strictEqual(batcher.queueLength, 5);
  gate.open();
  await Promise.all([first, second, ...later]);
  // The short one came first and is last in the order of length.
  deepStrictEqual(gate.batches.map((batch) => batch.map(({ ids }) => ids[0])), [[0], [1], [2, 2], [
    2,
    2,
  ]]);
});

Deno.test("Batcher drops rows that nobody waits for", async () => {
  const gate = new Gate();
  const batcher = new Batcher();
  const first = batcher.run(gate, [text(2)]);
  await Promise.resolve();
  const gone = new AbortController();
  const dropped = batcher.run(gate, [text(2, 1), text(3, 1)], gone.signal);
  const kept = batcher.run(gate, [text(2, 2)]);
  gone.abort(new Error("the client has gone"));
  gate.open();
  await rejects(dropped, /the client has gone/);
  await Promise.all([first, kept]);
  deepStrictEqual(gate.batches.map((batch) => batch.map(({ ids }) => ids[0])), [[0], [2]]);
});

Deno.test("Batcher fails those whose batch failed, and goes on", async () => {
  const batcher = new Batcher({ maxBatchTokens: 4 });
  const broken: BatchGroup = { logits: () => Promise.reject(new Error("out of order")) };
  const echo = new Echo();
  const failing = batcher.run(broken, [text(2), text(4), text(3)]);
  const working = batcher.run(echo, [text(2, 7)]);
  await rejects(failing, /out of order/);
  deepStrictEqual((await working).logits, [Float32Array.of(7)]);
  strictEqual(batcher.queueLength, 0);
});
