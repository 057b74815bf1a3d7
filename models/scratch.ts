/**
 * Classifiers from random weights, with a vocabulary of their own.
 *
 * @module
 */
import type { Classifier } from "./formats/classifier.ts";
import { scratchConfig, type ScratchSize, withLabels } from "./formats/config.ts";
import { Tokenizer } from "./text/tokenizer.ts";
import { initialWeights } from "./weights.ts";
import { learnVocabulary } from "./text/wordpiece.ts";

const VOCABULARY_SIZE = 8000;

/** Settings of {@link scratchClassifier}. */
export interface ScratchOptions {
  seed: number;
  /** The most tokens of a text, `[CLS]` and `[SEP]` included. */
  maxLength: number;
}

/**
 * A classifier with random weights.
 *
 * @param texts What the vocabulary is learned from.
 * @param labels The names of the classes.
 */
export function scratchClassifier(
  size: ScratchSize,
  texts: Iterable<string>,
  labels: readonly string[],
  { seed, maxLength }: ScratchOptions,
): Classifier {
  const vocabulary = scratchVocabulary(texts);
  const config = withLabels(
    scratchConfig(size, vocabulary.length, "BertForSequenceClassification"),
    labels,
  );
  return {
    config,
    // Positions that no text of training reaches would stay random.
    tokenizer: Tokenizer.fromVocabulary(vocabulary, {
      modelMaxLength: Math.min(maxLength, config.max_position_embeddings),
    }),
    weights: initialWeights(config, seed),
  };
}

/** The word pieces that a classifier with random weights learns from its training texts. */
export function scratchVocabulary(texts: Iterable<string>): string[] {
  return learnVocabulary(texts, { vocabularySize: VOCABULARY_SIZE });
}

/** Counts the word pieces of texts, without `[CLS]` and `[SEP]`, by a vocabulary of their own. */
export function scratchWordPieces(trainingTexts: readonly string[]): (text: string) => number {
  const vocabulary = scratchVocabulary(trainingTexts);
  const tokenizer = Tokenizer.fromVocabulary(vocabulary, { modelMaxLength: Infinity });
  return (text) => tokenizer.countTokens(text) - 2;
}
