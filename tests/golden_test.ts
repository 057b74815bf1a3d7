/**
 * BERT against the golden values of PyTorch, transformers and PEFT; `long/golden_test.ts` has the
 * other losses, tuners and families.
 *
 * @module
 */
import { testOnDevices } from "./support/devices.ts";
import { compareWithPyTorch } from "./support/compare_with_pytorch.ts";

for (
  const [name, files] of [
    ["full fine-tuning agrees with PyTorch", "full"],
    ["tuning a prefix agrees with PEFT", "prefix"],
    ["tuning LoRA agrees with PEFT", "lora"],
  ] as const
) {
  testOnDevices(name, (executor) => compareWithPyTorch(`golden/${files}`, executor));
}
