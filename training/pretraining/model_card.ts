/**
 * The `README.md` of a pretrained model's folder.
 *
 * @module
 */
import { basename } from "node:path";
import type { PretrainResult } from "../events.ts";
import { decimals } from "../metrics.ts";
import { MAX_ROWS } from "./held_out.ts";
import type { PretrainSettings } from "./settings.ts";

/** What the card tells of. */
export interface PretrainedCard {
  result: PretrainResult;
  settings: PretrainSettings;
  /** The names of the files of texts. */
  files: readonly string[];
  /** Of the file of weights, in bytes. */
  size: number;
}

/** The card in Markdown, with the metadata that the Hugging Face hub reads. */
export function pretrainedCard({ result, settings, files, size }: PretrainedCard): string {
  const { held_out_loss: loss } = result;
  const { teacher, heldOut, maskProbability } = settings;
  const lesson = teacher === undefined ? "" : `, and the embeddings that
\`${basename(teacher)}\` gives to whole texts`;
  return `---
library_name: transformers
pipeline_tag: fill-mask
tags: [graft]
---

# ${basename(result.model_dir)}

A BERT, pretrained from \`${basename(settings.model)}\` with Graft. It learned to guess masked
words${lesson}; it is a base for fine-tuning and answers nothing itself.

- Texts: ${files.map((file) => `\`${file}\``).join(", ")}.
- ${
    result.steps.toLocaleString("en")
  } steps of ${settings.batchSize} rows of at most ${settings.maxLength} tokens; the
  settings are in \`training_args.json\`, the course of the run in \`trainer_state.json\`.
${
    loss === null
      ? "- No text was held out."
      : `- A share of ${heldOut} of the texts was held out. On up to ${
        MAX_ROWS.toLocaleString("en")
      } rows of these the cross-entropy of masked
  tokens (a share of ${maskProbability}, whole words) is ${decimals(loss)}, a perplexity of ${
        decimals(Math.exp(loss))
      }.`
  }
- The weights take ${Math.ceil(size / 1000).toLocaleString("en")} kB.

\`\`\`sh
deno task train --model FOLDER --data YOUR_FOLDER
\`\`\`
`;
}
