/**
 * How fast Graft is beside what the hardware allows, PyTorch, TensorFlow.js and transformers.js, all
 * on one machine, in one run, in turn.
 *
 * @module
 */
import { machine } from "../machine.ts";
import { formatSection, type Section, sectionsOf } from "./comparison.ts";
import { compareEpochs } from "./epoch.ts";
import type { Measured, PeerBenchOptions } from "./part.ts";
import { comparePredictions } from "./predict.ts";
import { compareNativeSteps, compareWasmSteps } from "./step.ts";

/** What can be compared. */
export const PEER_PARTS = ["step", "wasm", "epoch", "predict"] as const;

/** One of {@link PEER_PARTS}. */
export type PeerPart = (typeof PEER_PARTS)[number];

const PARTS: Record<
  PeerPart,
  { title: string; compare: (options: PeerBenchOptions) => Promise<Measured> }
> = {
  step: { title: "A training step on native code", compare: compareNativeSteps },
  wasm: { title: "A training step in WebAssembly", compare: compareWasmSteps },
  epoch: { title: "An epoch on the published titles", compare: compareEpochs },
  predict: { title: "Prediction on native code", compare: comparePredictions },
};

const INTRODUCTION = `# Graft beside others

What \`deno task bench peers\` measured, and wrote here. All that stands in one table ran on one
machine, in one run, in turn, and in the same environment. The ratio says how many times as fast Graft
is, or what share of the rate of matrix products it reaches; the target is the least that it should
be.
`;

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
 * The page of results, with the columns of its tables not aligned.
 *
 * @param earlier What the page was before: all but the section of that title stays.
 */
export function resultsPage(section: Section, earlier: string): string {
  const sections = sectionsOf(earlier).set(section.title, formatSection(section));
  const inOrder = Object.values(PARTS).flatMap(({ title }) => sections.get(title) ?? []);
  return [INTRODUCTION, ...inOrder].join("\n");
}
