/**
 * Prediction, compared with transformers.js.
 *
 * @module
 */
import { basename, join } from "node:path";
import { readDataset } from "../../data/dataset.ts";
import { type Classifier, saveClassifier } from "../../models/formats/classifier_folder.ts";
import { TextClassifier } from "../../models/inference/text_classifier.ts";
import { type Dtype, DTYPES } from "../../models/onnx_model.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { type PredictionBench, type PredictionResult, timePredictions } from "../prediction.ts";
import { type Comparison, count, type Unit } from "./comparison.ts";
import { figureOf, inTurn, type Measured, type PeerBenchOptions } from "./part.ts";
import { PeerProcess } from "./peer_process.ts";
import { denoProgram, exportProgram, NO_EXPORT, NO_PACKAGES } from "./programs.ts";
import { titleClassifier } from "./title_classifier.ts";

/** Test titles that are classified. */
const TITLE_COUNT = 1024;
const LONG_COUNT = 64;
/** The tokens of a long text. */
const LONG_TOKENS = 256;
const DTYPE_NAMES = { fp32: "float32", q8: "int8" };

/** Compares latency and throughput of titles. */
export async function comparePredictions(options: PeerBenchOptions): Promise<Measured> {
  const dataset = await readDataset(options.data);
  const titles = dataset.test.slice(0, TITLE_COUNT).map(({ text }) => text);
  return await compareTexts(titles, titleClassifier(dataset), {
    ...options,
    figures: ["batch1_p50_ms", "batch32_texts_per_second"],
    target: 1,
    textsNote: `The first ${titles.length.toLocaleString("en")} test titles`,
  });
}

/** Compares latency and throughput of texts of {@link LONG_TOKENS} tokens. */
export async function compareLongPredictions(options: PeerBenchOptions): Promise<Measured> {
  const dataset = await readDataset(options.data);
  // A title has a word at least, and longer texts are cut.
  const texts = Array.from({ length: LONG_COUNT }, (_, i) =>
    Array.from(
      { length: LONG_TOKENS },
      (_, j) => dataset.test[(i * LONG_TOKENS + j) % dataset.test.length]!.text,
    ).join(" "));
  return await compareTexts(texts, titleClassifier(dataset, LONG_TOKENS), {
    ...options,
    figures: ["batch1_p50_ms", "batch8_texts_per_second", "batch32_texts_per_second"],
    target: 1.1,
    textsNote: `${texts.length} texts of ${LONG_TOKENS} tokens`,
  });
}

/** What is compared, and how the page names it. */
interface TextOptions extends PeerBenchOptions {
  figures: readonly FigureKey[];
  target: number;
  textsNote: string;
}

type FigureKey = Exclude<keyof PredictionResult, "engine" | "dtype">;

const FIGURES: Record<FigureKey, { what: string; unit: Unit }> = {
  batch1_p50_ms: { what: "a text alone", unit: "ms" },
  batch8_texts_per_second: { what: "batches of 8", unit: "texts/s" },
  batch32_texts_per_second: { what: "batches of 32", unit: "texts/s" },
};

async function compareTexts(
  texts: readonly string[],
  classifier: Classifier,
  options: TextOptions,
): Promise<Measured> {
  const { rounds, threads } = options;
  const tempDir = await Deno.makeTempDir();
  try {
    const modelDir = options.model ?? join(tempDir, "model");
    if (options.model === undefined) await saveClassifier(modelDir, classifier);
    const textsFile = join(tempDir, "texts.json");
    await Deno.writeTextFile(textsFile, JSON.stringify(texts));

    await using executor = await Executor.start({ device: "native", threads });
    const classifiers = {
      fp32: await TextClassifier.load(executor, modelDir, "fp32"),
      // Makes the file that transformers.js reads, unless it exists.
      q8: await TextClassifier.load(executor, modelDir, "q8"),
    };
    await using ownFile = await startTransformers(modelDir, textsFile, threads);
    const exportedDir = join(tempDir, "exported");
    const exportVersions = await exportModel(modelDir, exportedDir);
    await using exportedFile = exportVersions &&
      await startTransformers(exportedDir, textsFile, threads);
    const { graft, own, exported } = await inTurn(rounds, {
      graft: () => graftResults(classifiers, texts),
      own: async () => (await ownFile?.round())?.results ?? [],
      exported: async () => (await exportedFile?.round())?.results ?? [],
    });
    const modelName = options.model === undefined
      ? "a model of MiniLM size with random weights"
      : `the model '${basename(options.model)}'`;
    const whyNone = "the model has no `onnx/model_quantized.onnx`";
    const peers = [
      {
        name: "transformers.js",
        results: exported.flat(),
        whyNone: ownFile ? NO_EXPORT : NO_PACKAGES,
      },
      {
        name: "transformers.js on Graft's file",
        results: own.flat(),
        whyNone: ownFile ? whyNone : NO_PACKAGES,
      },
    ];
    return {
      versions: {
        ...exportVersions,
        // This onnxruntime runs the models; the one in Python quantises one.
        onnxruntime: executor.onnxruntimeVersion,
        ...ownFile?.versions,
      },
      comparisons: peers.flatMap((peer) =>
        DTYPES.flatMap((dtype) => comparisonsOf(dtype, graft.flat(), peer, options))
      ),
      note: `${options.textsNote}, from text to class, with ${modelName}. ` +
        `Medians of ${count(rounds, "round")}; of a text alone, each round's ` +
        "median of all texts. transformers.js runs on onnxruntime-node, with a file that PyTorch " +
        "exported and onnxruntime quantised, and then with the very file that Graft runs.",
    };
  } finally {
    await Deno.remove(tempDir, { recursive: true });
  }
}

function startTransformers(
  modelDir: string,
  textsFile: string,
  threads: number,
): Promise<PeerProcess<PredictionBench> | undefined> {
  const permissions = ["--allow-read", "--allow-env", "--allow-ffi"];
  const args = [modelDir, textsFile, threads];
  return PeerProcess.start(denoProgram("transformers_predict.ts", permissions, args));
}

/**
 * Writes a model again, with the ONNX files that PyTorch makes of it.
 *
 * @returns The versions of the exporting packages, or `undefined` if they are not installed.
 */
async function exportModel(
  modelDir: string,
  exportedDir: string,
): Promise<Record<string, string> | undefined> {
  await Deno.mkdir(exportedDir);
  for await (const { name, isDirectory } of Deno.readDir(modelDir)) {
    if (!isDirectory) await Deno.copyFile(join(modelDir, name), join(exportedDir, name));
  }
  await using exporter = await PeerProcess.start(exportProgram(exportedDir));
  await exporter?.round();
  return exporter?.versions;
}

async function graftResults(
  classifiers: Record<Dtype, TextClassifier>,
  texts: readonly string[],
): Promise<PredictionResult[]> {
  const results: PredictionResult[] = [];
  for (const dtype of DTYPES) {
    const classify = (texts: string[]) => classifiers[dtype].classify(texts);
    results.push({ engine: "graft", dtype, ...await timePredictions(classify, texts) });
  }
  return results;
}

/** A peer, with its figures. */
interface Peer {
  name: string;
  results: readonly PredictionResult[];
  whyNone: string;
}

function comparisonsOf(
  dtype: Dtype,
  graft: readonly PredictionResult[],
  { name: peer, results: theirs, whyNone }: Peer,
  { figures, target }: Pick<TextOptions, "figures" | "target">,
): Comparison[] {
  return figures.map((key) => {
    const values = (results: readonly PredictionResult[]) =>
      results.filter((result) => result.dtype === dtype).map((result) => result[key]);
    const { what, unit } = FIGURES[key];
    return {
      what: `${DTYPE_NAMES[dtype]}, ${what}`,
      unit,
      graft: figureOf(values(graft), "none"),
      peer,
      peer_figure: figureOf(values(theirs), whyNone),
      target,
    };
  });
}
