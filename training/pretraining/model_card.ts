/**
 * The `README.md` of a pretrained model's folder.
 *
 * @module
 */
import { basename } from "node:path";
import { count } from "../../lib/format.ts";
import type { PretrainResult } from "../events.ts";
import { type CardBase, metadataLines } from "../folder/model_card.ts";
import { decimals } from "../metrics.ts";
import { MAX_ROWS } from "./held_out.ts";
import type { PretrainSettings } from "./settings.ts";

/** The content of the card. */
export interface PretrainedCard {
  result: PretrainResult;
  settings: PretrainSettings;
  /** Absent where the model began with random weights. */
  base?: CardBase | undefined;
  /** The names of the files of texts. */
  files: readonly string[];
  /** The size of the file of weights, in bytes. */
  size: number;
}

/** Writes the card in Markdown, with the metadata that the Hugging Face hub reads. */
export function pretrainedCard(card: PretrainedCard): string {
  const { result, settings, files, size } = card;
  const { held_out_loss: loss } = result;
  const { teacher, heldOut, maskProbability } = settings;
  const lesson = teacher === undefined ? "" : `, and the embeddings that
\`${basename(teacher)}\` gives to whole texts`;
  return `---
${metadata(card)}
---

# ${basename(result.model_dir)}

A masked language model, pretrained from \`${
    basename(settings.model)
  }\` with Graft. It learned to guess masked
words${lesson}; it is a base for fine-tuning and answers nothing itself.

- Texts: ${files.map((file) => `\`${file}\``).join(", ")}.
- ${
    count(result.steps)
  } steps of ${settings.batchSize} rows of at most ${settings.maxLength} tokens; the
  settings are in \`training_args.json\`, the course of the run in \`trainer_state.json\`.
${
    loss === null
      ? "- No text was held out."
      : `- A share of ${heldOut} of the texts was held out. On up to ${
        count(MAX_ROWS)
      } rows of these the cross-entropy of masked
  tokens (a share of ${maskProbability}, whole words) is ${decimals(loss)}, a perplexity of ${
        decimals(Math.exp(loss))
      }.`
  }
- The weights take ${count(Math.ceil(size / 1000))} kB.

In this folder, with transformers:

\`\`\`python
from transformers import pipeline

fill = pipeline("fill-mask", model=".")
for answer in fill(f"a {fill.tokenizer.mask_token}"):
    print(answer["token_str"], answer["score"])
\`\`\`

With Graft, where FOLDER is this one:

\`\`\`sh
deno task --quiet train --model FOLDER --data YOUR_FOLDER
\`\`\`
`;
}

/** The metadata of a card, which the Hugging Face hub reads. */
function metadata({ result, settings, base, files }: PretrainedCard): string {
  const { held_out_loss: loss } = result;
  const figures = loss === null ? [] : [
    { type: "loss", name: "cross-entropy of masked tokens", value: rounded(loss) },
    { type: "perplexity", name: "perplexity of masked tokens", value: rounded(Math.exp(loss)) },
  ];
  const data = files.join(", ");
  return metadataLines({
    library_name: "transformers",
    pipeline_tag: "fill-mask",
    tags: ["graft"],
    license: settings.license ?? base?.license ?? "unknown",
    ...base !== undefined && { base_model: base.name },
    datasets: files,
    metrics: figures.map(({ type }) => type),
    ...figures.length > 0 && {
      "model-index": [{
        name: basename(result.model_dir),
        results: [{
          task: { type: "fill-mask", name: "Fill Mask" },
          dataset: { name: data, type: data, split: "held out" },
          metrics: figures,
        }],
      }],
    },
  });
}

function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
