import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import fc from "fast-check";
import type { EncodedText } from "../models/inference/inference.ts";
import { Batcher, type BatchGroup, type BatchReport, cutBatches } from "./batcher.ts";

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
      // A batch ends only if another row would be too much.
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

Deno.test("Batcher lets a client go at once, in the queue and in a batch", async () => {
  const gate = new Gate();
  const batcher = new Batcher();
  const gone = new AbortController();
  const running = batcher.run(gate, [text(2)], gone.signal);
  await Promise.resolve();
  const waiting = batcher.run(gate, [text(2, 1)], gone.signal);
  gone.abort(new Error("the client has gone"));
  // The device has not answered, and will not before the end.
  await rejects(running, /the client has gone/);
  await rejects(waiting, /the client has gone/);
  await rejects(batcher.run(gate, [text(2)], gone.signal), /the client has gone/);
  strictEqual(batcher.queueLength, 0);
  gate.open();
});

Deno.test("Batcher fails nobody for the rows of another request", async () => {
  const batches: number[][] = [];
  const group: BatchGroup = {
    logits(rows) {
      batches.push(rows.map(({ ids }) => ids[0]!));
      if (rows.some(({ ids }) => ids[0] === 13)) return Promise.reject(new Error("bad luck"));
      return Promise.resolve(rows.map(({ ids }) => Float32Array.of(ids[0]!)));
    },
  };
  const batcher = new Batcher();
  const before = batcher.run(group, [text(2, 1), text(2, 2)]);
  const failing = batcher.run(group, [text(2, 13), text(2, 3)]);
  const after = batcher.run(group, [text(2, 4)]);
  await rejects(failing, /bad luck/);
  deepStrictEqual((await before).logits.map(([value]) => value), [1, 2]);
  deepStrictEqual((await after).logits.map(([value]) => value), [4]);
  deepStrictEqual(batches, [[1, 2, 13, 3, 4], [1, 2], [13, 3], [4]]);
});

Deno.test("Batcher counts virtual tokens", async () => {
  const reports: BatchReport[] = [];
  const batcher = new Batcher({ maxBatchTokens: 20, onBatch: (report) => reports.push(report) });
  const echo = new Echo();
  await batcher.run(echo, Array.from({ length: 4 }, () => ({ ...text(2), virtualTokens: 8 })));
  deepStrictEqual(reports.map(({ rows, tokens }) => [rows, tokens]), [[2, 20], [2, 20]]);
});

/** Runs a test in which time passes only when told to. */
async function withClock(test: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  const { now } = performance;
  let time = 0;
  performance.now = () => time;
  try {
    await test((ms) => time += ms);
  } finally {
    performance.now = now;
  }
}

Deno.test("Batcher fills batches with what the device did in 100 ms, where it was told nothing", async () => {
  await withClock(async (pass) => {
    const sizes: number[] = [];
    const group: BatchGroup = {
      logits(rows) {
        sizes.push(rows.length * 16);
        pass(rows.length * 16 / 4);
        return Promise.resolve(rows.map(() => Float32Array.of(0)));
      },
    };
    const batcher = new Batcher();
    await batcher.run(group, Array.from({ length: 100 }, () => text(16)));
    // At 4 tokens a millisecond 400 take 100 ms; the first batch is a guess.
    deepStrictEqual(sizes, [512, 400, 400, 288]);
    // A small batch says nothing about the device.
    await batcher.run(group, [text(16)]);
    await batcher.run(group, Array.from({ length: 26 }, () => text(16)));
    deepStrictEqual(sizes.slice(4), [16, 400, 16]);
  });
});

Deno.test("Batcher tells how long rows waited and how long they took", async () => {
  await withClock(async (pass) => {
    const group: BatchGroup = {
      logits(rows) {
        pass(30);
        return Promise.resolve(rows.map(() => Float32Array.of(0)));
      },
    };
    const batcher = new Batcher({ maxBatchTokens: 4 });
    const [first, second] = await Promise.all([
      batcher.run(group, [text(4)]),
      batcher.run(group, [text(4), text(4)]),
    ]);
    deepStrictEqual([first.queueMs, first.inferenceMs], [0, 30]);
    deepStrictEqual([second.queueMs, second.inferenceMs], [30, 60]);
  });
});
