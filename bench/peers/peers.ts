/**
 * The speed of Graft compared with the hardware's limit, PyTorch, TensorFlow.js and
 * transformers.js, on one machine, in one run, in turn.
 *
 * @module
 */
import { machine } from "../machine.ts";
import { formatSection, type Section, sectionsOf } from "./comparison.ts";
import { compareLength } from "./lengths.ts";
import { compareEpochs } from "./epoch.ts";
import type { Measured, PeerBenchOptions } from "./part.ts";
import { compareLongPredictions, comparePredictions } from "./predict.ts";
import { compareNativeSteps, compareWasmSteps } from "./step.ts";

/** The comparisons. */
export const PEER_PARTS = [
  "step",
  "minilm-64",
  "minilm-128",
  "minilm-256",
  "minilm-512",
  "base-64",
  "base-128",
  "base-256",
  "base-512",
  "wasm",
  "epoch",
  "predict",
  "predict-256",
] as const;

/** One of {@link PEER_PARTS}. */
export type PeerPart = (typeof PEER_PARTS)[number];

/** One part, as a section of the page. */
interface Part {
  title: string;
  compare: (options: PeerBenchOptions) => Promise<Measured>;
}

const PARTS: Record<PeerPart, Part> = {
  step: { title: "A training step on native code", compare: compareNativeSteps },
  "minilm-64": atLength("minilm", 64),
  "minilm-128": atLength("minilm", 128),
  "minilm-256": atLength("minilm", 256),
  "minilm-512": atLength("minilm", 512),
  "base-64": atLength("base", 64),
  "base-128": atLength("base", 128),
  "base-256": atLength("base", 256),
  "base-512": atLength("base", 512),
  wasm: { title: "A training step in WebAssembly", compare: compareWasmSteps },
  epoch: { title: "An epoch on the published titles", compare: compareEpochs },
  predict: { title: "Prediction on native code", compare: comparePredictions },
  "predict-256": {
    title: "Prediction of texts of 256 tokens on native code",
    compare: compareLongPredictions,
  },
};

const INTRODUCTION = `# Graft beside others

The results of \`deno task bench peers\`. The figures of one table come from one machine and one run,
measured in turn in the same environment. The ratio says how many times as fast Graft is, or what share
of the rate of matrix products it reaches.
`;

/** Steps in native code at one length of texts. */
function atLength(size: "minilm" | "base", length: number): Part {
  const name = { minilm: "MiniLM size", base: "BERT-base" }[size];
  return {
    title: `A training step at ${length} tokens, ${name}, on native code`,
    compare: (options) => compareLength(size, length, options),
  };
}

/** Measures one part. */
export async function benchPeers(part: PeerPart, options: PeerBenchOptions): Promise<Section> {
  const { title, compare } = PARTS[part];
  const { versions, comparisons, note } = await compare(options);
  return {
    title,
    date: new Date().toISOString().slice(0, 10),
    machine: machine(options.threads),
    versions: { Deno: Deno.version.deno, ...versions },
    comparisons,
    note,
  };
}

/**
 * The page of results, with the columns of its tables unaligned.
 *
 * @param earlier The previous page; all but the section of that title stays.
 */
export function resultsPage(section: Section, earlier: string): string {
  const sections = sectionsOf(earlier).set(section.title, formatSection(section));
  const inOrder = Object.values(PARTS).flatMap(({ title }) => sections.get(title) ?? []);
  return [INTRODUCTION, ...inOrder].join("\n");
}
