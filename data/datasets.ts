/**
 * The data sets that requests can name.
 *
 * @module
 */
import { SAMPLE_DIR } from "./dataset.ts";

/** Their names. */
export const DATASETS = ["sample"] as const;

/** The folder of a data set. */
export function datasetDir(name: (typeof DATASETS)[number]): string {
  return { sample: SAMPLE_DIR }[name];
}
