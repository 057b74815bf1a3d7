/**
 * Applies a function to many items, several at once.
 *
 * @module
 */

/**
 * The results of a function for some items, in their order; at most `atOnce` calls run at a time.
 *
 * @throws The error of the first call that fails; those that are running then go on to their ends.
 */
export async function mapAtOnce<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  // All workers take items from the same iterator.
  const entries = items.entries();
  const work = async () => {
    for (const [i, item] of entries) results[i] = await map(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}
