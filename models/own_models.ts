/**
 * The names of the models that come with Graft.
 *
 * @module
 */

/** The sizes that can be trained from random weights, by the name in `scratch:NAME`. */
export const SCRATCH_SIZES = {
  tiny: { layers: 2, hidden: 128, heads: 2 },
  mini: { layers: 4, hidden: 256, heads: 4 },
  small: { layers: 4, hidden: 512, heads: 8 },
} as const;

/** A name in {@link SCRATCH_SIZES}. */
export type ScratchSize = keyof typeof SCRATCH_SIZES;

/** The names of the models that start from random weights. */
export const SCRATCH_MODELS = ["scratch:tiny", "scratch:mini", "scratch:small"] as const;

/** The name of the pretrained base that comes with Graft, in `models/bundled/`. */
export const BUNDLED_MODEL = "bundled";

/** The names of the models that come with Graft, the default first. */
export const OWN_MODELS: readonly string[] = [BUNDLED_MODEL, ...SCRATCH_MODELS];

/** `scratch:tiny` -> `tiny`; `undefined` for a model that does not start from random weights. */
export function scratchSizeOf(model: string): ScratchSize | undefined {
  return SCRATCH_MODELS.some((name) => name === model)
    ? model.slice("scratch:".length) as ScratchSize
    : undefined;
}
