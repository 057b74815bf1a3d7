import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { benchServe } from "./serve.ts";

Deno.test("benchServe() gets an answer to every request and counts them", async () => {
  const { results, ...bench } = await benchServe({
    size: "tiny",
    length: 9,
    concurrency: [1, 4],
    seconds: 1,
    adapters: 2,
    training: false,
    coldStarts: 1,
    device: "wasm",
  });
  deepStrictEqual(results.map(({ concurrency }) => concurrency), [1, 4]);
  for (const { requests, failures, mean_batch_rows, ...result } of results) {
    ok(requests > 0);
    strictEqual(failures, 0);
    ok(mean_batch_rows >= 1 && mean_batch_rows <= result.concurrency);
    ok(result.p50_ms <= result.p95_ms && result.p95_ms <= result.p99_ms);
  }
  strictEqual(results[0]!.mean_batch_rows, 1);
  ok(bench.plain_loop_texts_per_second > 0 && bench.cold_start_ms! > 0);
});
