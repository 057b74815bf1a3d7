/**
 * Tensor shapes whose dimensions may be symbols, so that one graph serves every batch size and length.
 *
 * @module
 */

/**
 * A dimension: a number, or a symbol for one that is known only at run time. Symbols multiply with
 * `*` and add up in parentheses, as in `batch*(16+length)`; a difference, as in `(512-length)`, stands
 * alone.
 */
export type Dimension = number | string;

/** A tensor's dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly Dimension[];

/** A shape as error messages print it, for example `[batch, 12, length, 32]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether both shapes have the same dimensions in the same order. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/**
 * The product of dimensions: a number where all are known, otherwise a symbol such as `384*batch`.
 *
 * @throws {RangeError} If a factor is a difference.
 */
export function product(shape: Shape): Dimension {
  let factor = 1;
  const symbols: string[] = [];
  for (const dimension of shape) {
    if (typeof dimension === "number") {
      factor *= dimension;
      continue;
    }
    if (isDifference(dimension)) {
      throw new RangeError(`Cannot multiply the difference '${dimension}'`);
    }
    for (const part of dimension.split("*")) {
      if (/^\d+$/.test(part)) factor *= Number(part);
      else symbols.push(part);
    }
  }
  if (symbols.length === 0 || factor === 0) return factor;
  return (factor === 1 ? symbols : [String(factor), ...symbols])
    .sort((a, b) => Number(/^\d/.test(b)) - Number(/^\d/.test(a)) || (a < b ? -1 : 1))
    .join("*");
}

/**
 * The sum of dimensions: a number where all are known, otherwise a symbol such as `(16+length)`.
 *
 * @throws {RangeError} If a term is a difference, or a product with a symbol.
 */
export function sum(dimensions: readonly Dimension[]): Dimension {
  let constant = 0;
  const symbols: string[] = [];
  for (const dimension of dimensions) {
    if (isDifference(dimension)) throw new RangeError(`Cannot add the difference '${dimension}'`);
    for (const part of typeof dimension === "number" ? [dimension] : terms(dimension)) {
      if (typeof part === "number" || /^\d+$/.test(part)) constant += Number(part);
      else if (part.includes("*")) throw new RangeError(`Cannot add the product '${part}'`);
      else symbols.push(part);
    }
  }
  if (symbols.length === 0) return constant;
  const parts = [...(constant === 0 ? [] : [constant]), ...symbols.sort()];
  return parts.length === 1 ? symbols[0]! : `(${parts.join("+")})`;
}

/**
 * `a - b`: a number where both are known, otherwise a symbol such as `(512-length)`.
 *
 * @throws {RangeError} If one of them is a difference.
 */
export function difference(a: Dimension, b: Dimension): Dimension {
  const nested = [a, b].find(isDifference);
  if (nested !== undefined) throw new RangeError(`Cannot subtract with the difference '${nested}'`);
  if (b === 0) return a;
  return typeof a === "number" && typeof b === "number" ? a - b : `(${a}-${b})`;
}

function isDifference(dimension: Dimension): boolean {
  return typeof dimension === "string" && dimension.includes("-");
}

/** The operands of a symbol that {@link difference} made; `undefined` for any other. */
export function differenceOperands(symbol: string): [string, string] | undefined {
  const minus = symbol.indexOf("-");
  return minus < 0 ? undefined : [symbol.slice(1, minus), symbol.slice(minus + 1, -1)];
}

/** The terms of a symbol that {@link sum} made; any other symbol is its own only term. */
export function terms(symbol: string): string[] {
  return symbol.startsWith("(") && symbol.endsWith(")") ? symbol.slice(1, -1).split("+") : [symbol];
}

/**
 * A shape with numbers for its symbols.
 *
 * @throws {RangeError} If a symbol has no number.
 */
export function bindDimensions(
  shape: Shape,
  values: Readonly<Record<string, number>>,
): number[] {
  const bind = (symbol: string): number => {
    if (/^\d+$/.test(symbol)) return Number(symbol);
    const subtracted = differenceOperands(symbol);
    if (subtracted !== undefined) return bind(subtracted[0]) - bind(subtracted[1]);
    const factors = symbol.split("*");
    if (factors.length > 1) return factors.reduce((size, factor) => size * bind(factor), 1);
    const summands = terms(symbol);
    if (summands.length > 1) return summands.reduce((total, term) => total + bind(term), 0);
    const value = values[symbol];
    if (value === undefined) throw new RangeError(`Cannot bind dimension '${symbol}': no value`);
    return value;
  };
  return shape.map((dimension) => bind(String(dimension)));
}

/** The number of elements of a shape whose dimensions are all numbers. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, dimension) => count * dimension, 1);
}

/**
 * The shape that two operands have together under NumPy's broadcasting rule.
 *
 * @throws {RangeError} If two dimensions differ and neither is 1.
 */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new RangeError(`Cannot broadcast ${formatShape(a)} with ${formatShape(b)}`);
  });
}
