/**
 * The settings of pretraining. The command line and `training_args.json` take their names, limits and
 * descriptions from here.
 *
 * @module
 */
import { z } from "zod";
import { SCRATCH_MODELS, scratchSizeOf } from "../../models/own_models.ts";
import { between, positive, whole } from "../../lib/number_schemas.ts";
import { MODEL, TrainSettings } from "../settings.ts";

const {
  gradientAccumulationSteps,
  stepMemory,
  gradientCheckpointing,
  warmupRatio,
  weightDecay,
  maxGradNorm,
  dropout,
} = TrainSettings.shape;
const { seed, saveTotalLimit, license, device, threads } = TrainSettings.shape;

/** The schema of {@link PretrainSettings}. */
export const PretrainSettings = z.strictObject({
  model: MODEL.default("scratch:mini").describe(
    "The model to pretrain: random weights with a vocabulary learned from the texts " +
      `(${
        SCRATCH_MODELS.join(", ")
      }), or a BERT in a folder or on the Hugging Face hub, which goes on`,
  ),
  vocabularySize: whole(100, 100_000).default(10_000)
    .describe("The most word pieces of a vocabulary that is learned"),
  teacher: z.string().optional().describe(
    "A BERT, in a folder or on the Hugging Face hub, whose sentence embeddings are learned too; " +
      "each text is then a row of its own, and half of them are shown whole",
  ),
  teacherWeight: positive().default(10).describe(
    "How much the squared distance to the teacher's embeddings weighs beside the masked tokens",
  ),
  maskProbability: between(0.01, 0.5).default(0.15).describe("Share of the tokens to be guessed"),
  heldOut: between(0, 0.5).default(0.1)
    .describe("Share of the texts that is not trained on, but measured"),
  evalSteps: whole(1).default(1000).describe(
    "Steps from one measurement to the next; there is one at the end, too",
  ),
  epochs: whole(1, 1000).default(1).describe("Passes over the texts"),
  maxSteps: whole(1).optional().describe("Stop after this many optimizer steps"),
  batchSize: whole(1, 1024).default(32).describe("Rows in a batch"),
  gradientAccumulationSteps,
  stepMemory,
  gradientCheckpointing,
  learningRate: positive(1).optional().describe(
    "The highest learning rate; default: 5e-4 from random weights, 5e-5 otherwise",
  ),
  warmupRatio,
  weightDecay,
  maxGradNorm,
  dropout,
  maxLength: whole(8, 512).default(128).describe(
    "Tokens of a row, which is filled with several texts; with a teacher longer texts are cut",
  ),
  float16: z.boolean().default(false).describe("Store the weights in half precision"),
  seed,
  saveSteps: whole(1).optional()
    .describe("Steps from one checkpoint to the next; default: those of 5 minutes"),
  saveTotalLimit,
  license,
  device,
  threads,
});

/** The settings of pretraining with the defaults filled in. */
export type PretrainSettings = z.infer<typeof PretrainSettings>;

/** The highest learning rate: as asked for, or as it suits the model. */
export function pretrainingRate({ learningRate, model }: PretrainSettings): number {
  return learningRate ?? (scratchSizeOf(model) === undefined ? 5e-5 : 5e-4);
}
