/**
 * Long series of points with fewer of them that look the same when they are drawn.
 *
 * @module
 */

/**
 * Which points of a series are kept: of each stretch those where a column is lowest and highest, and
 * the first and last of all, so that peaks stay.
 *
 * @param columns Values of the points; those that are no numbers are never the lowest or highest.
 * @param most About as many points are kept.
 * @returns Their places in ascending order; all where there are no more than `most`.
 */
export function keptPoints(columns: readonly ArrayLike<number>[], most: number): number[] {
  const count = columns[0]?.length ?? 0;
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const stretches = Math.max(1, Math.floor((most - 2) / (2 * columns.length)));
  const kept = new Set([0, count - 1]);
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = Math.floor(count * stretch / stretches);
    const to = Math.floor(count * (stretch + 1) / stretches);
    for (const column of columns) {
      let [lowest, highest] = [from, from];
      for (let i = from; i < to; i++) {
        if (column[i]! < column[lowest]!) lowest = i;
        if (column[i]! > column[highest]!) highest = i;
      }
      kept.add(lowest).add(highest);
    }
  }
  return [...kept].sort((a, b) => a - b);
}
