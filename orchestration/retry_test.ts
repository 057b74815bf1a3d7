import { rejects, strictEqual } from "node:assert";
import { retry } from "./retry.ts";
import { StoreTimeoutError } from "./store.ts";

/** An operation that fails at first. */
function failing(errors: Error[]): () => Promise<string> {
  return () => {
    const error = errors.shift();
    return error === undefined ? Promise.resolve("written") : Promise.reject(error);
  };
}

Deno.test("retry() tries again what may pass", async () => {
  const operation = failing([new StoreTimeoutError("the store does not answer")]);
  strictEqual(await retry(operation, new AbortController().signal), "written");
});

Deno.test("retry() throws what does not pass, and everything once its signal aborts", async () => {
  const wrong = failing([new TypeError("no such field")]);
  await rejects(retry(wrong, new AbortController().signal), /no such field/);
  const slow = failing([1, 2].map((i) => new StoreTimeoutError(`timeout ${i}`)));
  const closing = new AbortController();
  const waiting = retry(slow, closing.signal);
  closing.abort();
  await rejects(waiting, /timeout [12]/);
});
