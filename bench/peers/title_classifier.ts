/**
 * The default model of the comparisons on titles.
 *
 * @module
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Classifier } from "../../models/formats/classifier_folder.ts";
import { withLabels } from "../../models/family.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { initialWeights } from "../../models/weights.ts";
import { learnVocabulary } from "../../models/text/wordpiece.ts";
import { benchConfig, MAX_LENGTH } from "../train.ts";

/**
 * A classifier of all-MiniLM-L6-v2's size, with random weights and the words of the titles.
 *
 * @param modelMaxLength The most tokens of a text.
 */
export function titleClassifier(
  { labels, train }: Dataset,
  modelMaxLength: number = MAX_LENGTH,
): Classifier {
  const config = withLabels(benchConfig("minilm"), labels);
  const vocabulary = learnVocabulary(Array.from(train, ({ text }) => text), {
    vocabularySize: config.vocab_size,
  });
  return {
    config,
    tokenizer: Tokenizer.fromVocabulary(vocabulary, { modelMaxLength }),
    weights: initialWeights(config, 1),
  };
}
