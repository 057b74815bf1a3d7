/**
 * Every loss, tuner and family against the golden values of PyTorch, transformers and PEFT, but for
 * those in `tests/golden_test.ts`.
 *
 * @module
 */
import { testOnDevices } from "../support/devices.ts";
import { compareWithPyTorch } from "../support/compare_with_pytorch.ts";

for (
  const [name, files] of [
    ["full fine-tuning by binary cross entropy agrees with PyTorch", "full_multi_label"],
    ["full fine-tuning by mean squared error agrees with PyTorch", "full_regression"],
    ["tuning a projected prefix agrees with PEFT", "prefix_projection"],
    ["tuning a prompt agrees with PEFT", "prompt"],
    ["tuning LoRA of all layers agrees with PEFT", "lora_all"],
    ["tuning LoRA of RoBERTa agrees with PEFT", "lora_roberta"],
    ["tuning LoRA of DistilBERT's layers agrees with PEFT", "lora_distilbert"],
    ["tuning rsLoRA of DeBERTa-v3 agrees with PEFT", "lora_deberta_v2"],
    ["tuning LoRA and the pooler of DeBERTa-v3 agrees with PEFT", "lora_pooler"],
    ["tuning LoRA of all of ModernBERT agrees with PEFT", "lora_modernbert"],
  ] as const
) {
  testOnDevices(name, (executor) => compareWithPyTorch(`golden/${files}`, executor));
}

for (
  const name of [
    "roberta",
    "xlm_roberta",
    "camembert",
    "electra",
    "distilbert",
    "mpnet",
    "deberta_v2",
    "modernbert",
    "modernbert_mean",
  ]
) {
  testOnDevices(
    `full fine-tuning of ${name} agrees with PyTorch`,
    (executor) => compareWithPyTorch(`families/${name}`, executor),
  );
}
