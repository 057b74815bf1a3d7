/**
 * Thins out long series of points that look the same when drawn.
 *
 * @module
 */

/**
 * The points of a series to keep: those where a column is lowest or highest within each stretch, so
 * that peaks stay, and the first and last of all.
 *
 * @param columns Values of the points; NaN is never the lowest or highest.
 * @param most About this many points are kept.
 * @returns Their indices in ascending order; all if there are no more than `most`.
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
