/**
 * The common part of the comparisons.
 *
 * @module
 */
import { median } from "../train.ts";
import type { Figure, Section } from "./comparison.ts";

/** The extent and inputs of the measurements. */
export interface PeerBenchOptions {
  /** The number of turns of each contestant. */
  rounds: number;
  /** Steps of a turn. */
  steps: number;
  /** The same for the published recipe, whose steps are slow. */
  recipeSteps: number;
  /** The folder of the published titles. */
  data: string;
  /** The folder of the model that predicts; by default one with random weights. */
  model?: string;
  threads: number;
}

/** The result of a part. */
export type Measured = Pick<Section, "versions" | "comparisons" | "note">;

/**
 * Measures the contestants in turn, round after round, so that a slow spell of the machine slows
 * all of them.
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

/** The median over all rounds, or why there is none. */
export function figureOf(values: readonly (number | undefined)[], whyNone: string): Figure {
  const measured = values.filter((value) => value !== undefined);
  return measured.length === 0 ? whyNone : median(measured);
}
