/**
 * Small data sets for tests of training.
 *
 * @module
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Example } from "../../data/examples.ts";

/** A data set of texts about food and about music; the first eight for training validate too. */
export function foodAndMusic(train: Example[], test: Example[] = []): Dataset {
  return {
    dir: "/data",
    labels: ["food", "music"],
    train,
    validation: train.slice(0, 8),
    test,
  };
}

/** Two classes that one word tells apart. */
export const SONGS_AND_RECIPES: Dataset = foodAndMusic(
  Array.from({ length: 24 }, (_, i) => ({
    text: i % 2 === 0 ? `a song for number ${i}` : `a recipe for number ${i}`,
    label: i % 2 === 0 ? "music" : "food",
  })),
);
