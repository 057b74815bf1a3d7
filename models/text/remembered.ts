/**
 * Remembers the results of a function for words, as most words come again.
 *
 * @module
 */

/** The most characters of a word that is remembered. */
const MAX_CHARACTERS = 64;

/**
 * The same function, which remembers its results for words of a usual length.
 *
 * @param maxWords The most words that are remembered.
 */
export function remembered<Result>(
  of: (word: string) => Result,
  maxWords = 2 ** 16,
): (word: string) => Result {
  const results = new Map<string, Result>();
  return (word) => {
    if (word.length > MAX_CHARACTERS) return of(word);
    let result = results.get(word);
    if (result === undefined) {
      result = of(word);
      if (results.size >= maxWords) results.clear();
      results.set(word, result);
    }
    return result;
  };
}
