/**
 * Times predictions of transformers.js, which runs them on onnxruntime-node.
 *
 *     echo | deno run --config deno.json --allow-read --allow-env --allow-ffi \
 *       bench/peers/programs/transformers_predict.ts MODEL_DIR TEXTS.json 2
 *
 * The file holds the texts; the last number is that of threads. Types of weights without an ONNX
 * file in the folder are left out.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { exists } from "../../../lib/files.ts";
import { DTYPES, ONNX_FILES } from "../../../models/onnx_model.ts";
import { type PredictionResult, timePredictions } from "../../prediction.ts";
import { runPeer } from "./peer.ts";

const [dir, textsFile, threads] = Deno.args as [string, string, string];
const texts: string[] = JSON.parse(await Deno.readTextFile(textsFile));

await runPeer(["@huggingface/transformers"], async ({ env, pipeline }) => {
  env.allowRemoteModels = false;
  env.localModelPath = dirname(resolve(dir));
  const engines: {
    dtype: PredictionResult["dtype"];
    classify: (texts: string[]) => Promise<unknown>;
  }[] = [];
  for (const dtype of DTYPES) {
    if (!await exists(join(dir, ONNX_FILES[dtype]))) continue;
    const classify = await pipeline("text-classification", basename(resolve(dir)), {
      dtype,
      device: "cpu",
      session_options: { intraOpNumThreads: Number(threads) },
    });
    engines.push({ dtype, classify });
  }
  return async () => {
    const results: PredictionResult[] = [];
    for (const { dtype, classify } of engines) {
      results.push({
        engine: "transformers.js",
        dtype,
        ...await timePredictions(classify, texts),
      });
    }
    return { device: "native", model: dir, results };
  };
});
