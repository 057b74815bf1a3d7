/**
 * Merges sequences that are in order.
 *
 * @module
 */

/**
 * Yields the items of two generators in their order; of equal ones that of `a` comes first.
 *
 * @param compare As `Array.sort` takes it; each generator's items are in its order.
 */
export async function* merged<Item>(
  a: AsyncGenerator<Item>,
  b: AsyncGenerator<Item>,
  compare: (a: Item, b: Item) => number,
): AsyncGenerator<Item> {
  let [left, right] = await Promise.all([a.next(), b.next()]);
  while (left.done !== true && right.done !== true) {
    if (compare(left.value, right.value) <= 0) {
      yield left.value;
      left = await a.next();
    } else {
      yield right.value;
      right = await b.next();
    }
  }
  if (left.done !== true) {
    yield left.value;
    yield* a;
  }
  if (right.done !== true) {
    yield right.value;
    yield* b;
  }
}
