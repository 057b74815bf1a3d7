/**
 * What the comparisons have in common.
 *
 * @module
 */
import { median } from "../train.ts";
import type { Figure, Section } from "./comparison.ts";

/** How much is measured, and on what. */
export interface PeerBenchOptions {
  /** How often it is everyone's turn. */
  rounds: number;
  /** Steps of a turn. */
  steps: number;
  /** The same of the published recipe, whose steps take long. */
  recipeSteps: number;
  /** The folder of the published titles. */
  data: string;
  /** The folder of the model that predicts; by default one with random weights. */
  model?: string;
  threads: number;
}

/** What a part finds. */
export type Measured = Pick<Section, "versions" | "comparisons" | "note">;

/**
 * Lets each contestant measure once, and again, so often; what slows the machine down for a while
 * slows all of them.
 */
export async function inTurn<Results extends Record<string, unknown>>(
  rounds: number,
  contestants: { [Name in keyof Results]: () => Promise<Results[Name]> },
): Promise<{ [Name in keyof Results]: Results[Name][] }> {
  const names: (keyof Results)[] = Object.keys(contestants);
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    [Name in keyof Results]: Results[Name][];
  };
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await contestants[name]());
  }
  return results;
}

/** The median of what was measured in all rounds, or why there is none. */
export function figureOf(values: readonly (number | undefined)[], whyNone: string): Figure {
  const measured = values.filter((value) => value !== undefined);
  return measured.length === 0 ? whyNone : median(measured);
}
