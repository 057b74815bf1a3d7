/**
 * Does the same with each of many things, several at once.
 *
 * @module
 */

/**
 * What comes of each of some things, in their order; at most so many are in work at a time.
 *
 * @throws What the first failure throws; those that are in work then go on to their ends.
 */
export async function mapAtOnce<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  // All take from the same one.
  const entries = items.entries();
  const work = async () => {
    for (const [i, item] of entries) results[i] = await map(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}
