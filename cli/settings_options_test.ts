import { throws } from "node:assert";
import { UserError } from "../lib/user_error.ts";
import { TrainSettings } from "../training/settings.ts";
import { parseSettings } from "./settings_options.ts";

for (
  const [options, message] of [
    [{ stride: 8 }, "Cannot use --stride 8: goes with --long-texts chunk"],
    [{ chunkJoin: "max" }, "Cannot use --chunk-join max: goes with --long-texts chunk"],
    [
      { mode: "prefix", initFrom: "vocab" },
      "Cannot use --init-from vocab: words are no keys and values; it goes with --mode prompt",
    ],
    [
      { mode: "lora", freeze: "bert.*" },
      "Cannot use --freeze bert.*: lora freezes the whole base; it goes with --mode full",
    ],
    [
      { learningRate: 7 },
      "Cannot use --learning-rate 7: must be above 0 and at most 1",
    ],
  ] as [Record<string, unknown>, string][]
) {
  Deno.test(`parseSettings() says '${message}'`, () => {
    throws(() => parseSettings(TrainSettings, options), new UserError(message));
  });
}
