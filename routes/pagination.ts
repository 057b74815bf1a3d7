/**
 * Pages of long lists.
 *
 * @module
 */

/** A page of a list. */
export interface Page<Item> {
  items: Item[];
  /** The id of the last item if there are more; `null` at the end. */
  next: string | null;
}

/** Takes the first items of a list, and looks whether there are more. */
export async function pageOf<Item extends { id: string }>(
  list: AsyncIterable<Item>,
  limit: number,
): Promise<Page<Item>> {
  const items: Item[] = [];
  for await (const item of list) {
    if (items.length === limit) return { items, next: items.at(-1)!.id };
    items.push(item);
  }
  return { items, next: null };
}
