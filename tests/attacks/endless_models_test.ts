/**
 * Models that occupy the device for ever: they are stopped, and harm nobody else.
 *
 * @module
 */
import { match, strictEqual } from "node:assert";
import { join } from "node:path";
import { Executor } from "../../onnx/runtime/executor.ts";
import { LocalServer, writeModel } from "../support/local_server.ts";

/** A graph from `input_ids` to `logits`, `[1,3]`, whose `Loop` has no end. */
const ENDLESS = Uint8Array.fromBase64(
  "CAkSADrWAgoqCglpbnB1dF9pZHMSAW0iCVJlZHVjZU1pbioPCghrZWVwZGltcxgAoAECChwKAW0KBHplcm8SAXQiDkdyZWF0ZXJPckVxdWFsCqMBCgAKAXQKBXN0YXJ0EgZsb2dpdHMiBExvb3AqhgEKBGJvZHkyewoQCgFjEgFkIghJZGVudGl0eQoQCgF2EgF3IghJZGVudGl0eRIEYm9keVoLCgFpEgYKBAgHEgBaCwoBYxIGCgQICRIAWhMKAXYSDgoMCAESCAoCCAEKAggDYgsKAWQSBgoECAkSAGITCgF3Eg4KDAgBEggKAggBCgIIA6ABBRIBZyoLEAc6AQBCBHplcm8qGwgBCAMQASIMAAAAAAAAAAAAAAAAQgVzdGFydFodCglpbnB1dF9pZHMSEAoOCAcSCgoDEgFiCgMSAWxiGAoGbG9naXRzEg4KDAgBEggKAggBCgIIA0IECgAQEg==",
);

Deno.test("a model whose graph has no end is stopped, and harms nobody else", async () => {
  await using server = await LocalServer.start({
    seeds: { good: 1 },
    cacheOptions: { startExecutor: () => Executor.start({ threads: 1, timeoutMs: 3000 }) },
  });
  const endless = join(server.runsDir, "endless");
  await writeModel(endless, 2);
  await Deno.remove(join(endless, "model.safetensors"));
  await Deno.writeFile(join(endless, "onnx/model.onnx"), ENDLESS);
  const predict = async (model: string) => {
    const response = await server.send("POST", "/v1/predict", { model, inputs: ["a duet"] });
    return { status: response.status, error: (await response.json()).error };
  };
  strictEqual((await predict("good")).status, 200);
  const answers = [predict("endless"), predict("good"), predict("good")];
  const [bad, ...good] = await Promise.all(answers);
  strictEqual(bad!.status, 424);
  match(bad!.error, /^Cannot run the model: it took more than 3 seconds on the device$/);
  for (const { status, error } of good) strictEqual(status, 200, error);
  // The model is not tried again.
  const again = await predict("endless");
  strictEqual(again.status, 424);
  match(again.error, /took more than 3 seconds.*; it is tried again in 10 minutes$/);
  strictEqual((await predict("good")).status, 200);
});
