/**
 * Classifiers with random weights, and vocabularies of their own.
 *
 * @module
 */
import type { Classifier } from "./formats/classifier_folder.ts";
import { bert, BertConfig } from "./families/bert.ts";
import { type Family, withLabels } from "./family.ts";
import { SCRATCH_SIZES, type ScratchSize } from "./own_models.ts";
import { Tokenizer } from "./text/tokenizer.ts";
import { initialWeights } from "./weights.ts";
import { remembered } from "./text/remembered.ts";
import { learnVocabulary } from "./text/wordpiece.ts";

const VOCABULARY_SIZE = 8000;
/** The most parts of texts between spaces whose numbers of word pieces are remembered. */
const REMEMBERED_PARTS = 2 ** 18;
/** The most texts that {@link scratchWordPieces} learns from: more change no length, and take minutes. */
const LEARNED_TEXTS = 100_000;

/** The configuration of a model that is trained from random weights. */
export function scratchConfig(
  size: ScratchSize,
  vocabularySize: number,
  head: keyof Family["architectures"],
): BertConfig {
  const { layers, hidden, heads } = SCRATCH_SIZES[size];
  return BertConfig.parse({
    architectures: [bert.architectures[head]],
    model_type: "bert",
    vocab_size: vocabularySize,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * hidden,
    max_position_embeddings: 512,
    // BERT's 0.02 at 768 wide, scaled so that a product's result keeps its size.
    initializer_range: 0.02 * Math.sqrt(768 / hidden),
  });
}

/** Settings of {@link scratchClassifier}. */
export interface ScratchOptions {
  seed: number;
  /** The most tokens of a text, `[CLS]` and `[SEP]` included. */
  maxLength: number;
}

/**
 * A classifier with random weights.
 *
 * @param texts The texts from which the vocabulary is learned.
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
    scratchConfig(size, vocabulary.length, "classifier"),
    labels,
  );
  return {
    config,
    // Positions that no training text reaches would stay random.
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

/**
 * Returns a function that counts the word pieces of a text, without `[CLS]` and `[SEP]`, in a
 * vocabulary learned from these texts, or from some of very many, evenly spaced.
 */
export function scratchWordPieces(trainingTexts: readonly string[]): (text: string) => number {
  const step = Math.ceil(trainingTexts.length / LEARNED_TEXTS);
  const vocabulary = scratchVocabulary(trainingTexts.filter((_, index) => index % step === 0));
  const tokenizer = Tokenizer.fromVocabulary(vocabulary, { modelMaxLength: Infinity });
  // The tokens of a text are those of its parts between spaces.
  const countPart = remembered(
    (part) => tokenizer.countTokens(part) - tokenizer.specialTokenCount,
    REMEMBERED_PARTS,
  );
  return (text) => text.split(" ").reduce((count, part) => count + countPart(part), 0);
}
