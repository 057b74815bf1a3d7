/**
 * Prediction beside transformers.js.
 *
 * @module
 */
import { basename, join } from "node:path";
import { readDataset } from "../../data/dataset.ts";
import { saveClassifier } from "../../models/classifier.ts";
import { TextClassifier } from "../../models/text_classifier.ts";
import { type Dtype, DTYPES } from "../../models/weights.ts";
import { Executor } from "../../onnx/executor.ts";
import { type PredictionBench, type PredictionResult, timePredictions } from "../prediction.ts";
import { type Comparison, count } from "./comparison.ts";
import { figureOf, inTurn, type Measured, type PeerBenchOptions } from "./part.ts";
import { PeerProcess } from "./peer_process.ts";
import { denoProgram, NO_PACKAGES } from "./programs.ts";
import { titleClassifier } from "./title_classifier.ts";

/** Test titles that are classified. */
const TITLE_COUNT = 1024;
const DTYPE_NAMES = { fp32: "float32", q8: "int8" };

/** Compares latency and throughput. */
export async function comparePredictions(options: PeerBenchOptions): Promise<Measured> {
  const { rounds, threads } = options;
  const dataset = await readDataset(options.data);
  const titles = dataset.test.slice(0, TITLE_COUNT).map(({ text }) => text);
  const tempDir = await Deno.makeTempDir();
  try {
    const modelDir = options.model ?? join(tempDir, "model");
    if (options.model === undefined) await saveClassifier(modelDir, titleClassifier(dataset));
    const titlesFile = join(tempDir, "titles.json");
    await Deno.writeTextFile(titlesFile, JSON.stringify(titles));

    await using executor = await Executor.start({ device: "native", threads });
    const classifiers = {
      fp32: await TextClassifier.load(executor, modelDir, "fp32"),
      // Makes the file that transformers.js reads, unless it is there.
      q8: await TextClassifier.load(executor, modelDir, "q8"),
    };
    await using peer = await PeerProcess.start<PredictionBench>(
      denoProgram(
        "transformers_predict.ts",
        ["--allow-read", "--allow-env", "--allow-ffi"],
        [modelDir, titlesFile, threads],
      ),
    );
    const { graft, transformers } = await inTurn(rounds, {
      graft: () => graftResults(classifiers, titles),
      transformers: async () => (await peer?.round())?.results ?? [],
    });
    const modelName = options.model === undefined
      ? "a model of MiniLM size with random weights"
      : `the model '${basename(options.model)}'`;
    const whyNone = peer ? "the model has no `onnx/model_quantized.onnx`" : NO_PACKAGES;
    return {
      versions: { onnxruntime: executor.onnxruntimeVersion, ...peer?.versions },
      comparisons: DTYPES.flatMap((dtype) =>
        comparisonsOf(dtype, graft.flat(), transformers.flat(), whyNone)
      ),
      note: `The first ${titles.length.toLocaleString("en")} test titles, from text to class, ` +
        `with ${modelName}. Medians of ${count(rounds, "round")}; of a text alone, each round's ` +
        "median of all titles. transformers.js runs on onnxruntime-node.",
    };
  } finally {
    await Deno.remove(tempDir, { recursive: true });
  }
}

async function graftResults(
  classifiers: Record<Dtype, TextClassifier>,
  titles: readonly string[],
): Promise<PredictionResult[]> {
  const results: PredictionResult[] = [];
  for (const dtype of DTYPES) {
    const classify = (texts: string[]) => classifiers[dtype].classify(texts);
    results.push({ engine: "graft", dtype, ...await timePredictions(classify, titles) });
  }
  return results;
}

function comparisonsOf(
  dtype: PredictionResult["dtype"],
  graft: readonly PredictionResult[],
  transformers: readonly PredictionResult[],
  whyNone: string,
): Comparison[] {
  const figures = (key: "batch1_p50_ms" | "batch32_texts_per_second") => {
    const values = (results: readonly PredictionResult[]) =>
      results.filter((result) => result.dtype === dtype).map((result) => result[key]);
    return {
      graft: figureOf(values(graft), "none"),
      peer: "transformers.js",
      peer_figure: figureOf(values(transformers), whyNone),
      target: 1,
    };
  };
  const name = DTYPE_NAMES[dtype];
  return [
    { what: `${name}, a text alone`, unit: "ms", ...figures("batch1_p50_ms") },
    { what: `${name}, batches of 32`, unit: "texts/s", ...figures("batch32_texts_per_second") },
  ];
}
