/**
 * Full fine-tuning: every weight is trained, and the result is a model of its own.
 *
 * @module
 */
import { BUNDLED_MODEL, type ScratchSize, scratchSizeOf } from "../own_models.ts";
import type { RateAndEpochs, Tuner } from "./tuner.ts";

/** The defaults of the bundled model, which is small and takes a higher rate. */
const BUNDLED: RateAndEpochs = { learningRate: 5e-4, epochs: 6 };

/** The defaults from random weights; 5e-5 takes a model this small only a third of the way. */
const FROM_RANDOM: Record<ScratchSize, RateAndEpochs> = {
  tiny: { learningRate: 1e-3, epochs: 8 },
  mini: { learningRate: 5e-4, epochs: 8 },
  small: { learningRate: 3e-4, epochs: 8 },
};

/** See {@link Tuner}. */
export const full: Tuner = {
  mode: "full",
  trains: "every weight",
  faults: () => [],
  defaults: ({ model }, family) => {
    const size = scratchSizeOf(model);
    if (size !== undefined) return FROM_RANDOM[size];
    return model === BUNDLED_MODEL ? BUNDLED : family.defaults;
  },
};
