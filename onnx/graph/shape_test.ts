import { deepStrictEqual, throws } from "node:assert";
import fc from "fast-check";
import {
  bindDimensions,
  broadcast,
  difference,
  elementCount,
  formatShape,
  product,
  sameShape,
  type Shape,
  sum,
} from "./shape.ts";

const dimension = fc.oneof(fc.nat(4), fc.constantFrom("batch", "length"));
const shape = fc.array(dimension, { maxLength: 4 });

Deno.test("formatShape() prints numbers and symbols", () => {
  deepStrictEqual(formatShape(["batch", 12, "batch*length", 0]), "[batch, 12, batch*length, 0]");
  deepStrictEqual(formatShape([]), "[]");
});

Deno.test("sameShape() compares dimensions in order", () => {
  deepStrictEqual(sameShape(["batch", 2], ["batch", 2]), true);
  deepStrictEqual(sameShape([], []), true);
  deepStrictEqual(sameShape(["batch", 2], [2, "batch"]), false);
  deepStrictEqual(sameShape(["batch", 2], ["batch"]), false);
  deepStrictEqual(sameShape(["batch"], ["batch", 2]), false);
  deepStrictEqual(sameShape(["batch"], ["length"]), false);
});

for (
  const [factors, expected] of [
    [[], 1],
    [[2, 3, 4], 24],
    [["batch", "length"], "batch*length"],
    [["length", 1, "batch"], "batch*length"],
    [["length", 12, "batch", 32], "384*batch*length"],
    [["3*batch", 4, "2*length"], "24*batch*length"],
    [["batch", "batch"], "batch*batch"],
    [["batch", 0, 5], 0],
    [["batch", "0*length"], 0],
  ] as [Shape, number | string][]
) {
  Deno.test(`product() of ${formatShape(factors)} is ${expected}`, () => {
    deepStrictEqual(product(factors), expected);
  });
}

for (
  const [dimensions, expected] of [
    [[2, 3], 5],
    [["length", 0], "length"],
    [["length", 16], "(16+length)"],
    [["prefix", "length"], "(length+prefix)"],
    [["(16+length)", 4, "prefix"], "(20+length+prefix)"],
  ] as [Shape, number | string][]
) {
  Deno.test(`sum() of ${formatShape(dimensions)} is ${expected}`, () => {
    deepStrictEqual(sum(dimensions), expected);
  });
}

for (
  const [a, b, expected] of [
    [5, 3, 2],
    ["length", 0, "length"],
    [512, "length", "(512-length)"],
    [512, "(16+length)", "(512-(16+length))"],
  ] as const
) {
  Deno.test(`difference() of ${a} and ${b} is ${expected}`, () => {
    deepStrictEqual(difference(a, b), expected);
  });
}

Deno.test("sum(), product() and difference() refuse a difference", () => {
  const rest = difference(512, "length");
  const refusal = (action: string) => ({
    name: "RangeError",
    message: `Cannot ${action} the difference '(512-length)'`,
  });
  throws(() => sum([rest, 3]), refusal("add"));
  throws(() => sum([rest]), refusal("add"));
  throws(() => product([rest, "batch"]), refusal("multiply"));
  throws(() => difference(rest, 3), refusal("subtract with"));
  throws(() => difference(600, rest), refusal("subtract with"));
});

Deno.test("bindDimensions() subtracts", () => {
  const values = { length: 7 };
  deepStrictEqual(bindDimensions([difference(512, sum([16, "length"]))], values), [489]);
  deepStrictEqual(bindDimensions([difference("length", "length")], values), [0]);
});

Deno.test("bindDimensions() multiplies and adds", () => {
  const shape = [product(["batch", sum([16, "length"]), 3]), sum(["length", "batch"]), 7];
  deepStrictEqual(bindDimensions(shape, { batch: 2, length: 5 }), [126, 7, 7]);
  throws(() => sum([16, "batch*length"]), /Cannot add the product 'batch\*length'/);
  throws(() => bindDimensions([sum([16, "length"])], {}), /'length': no value/);
});

Deno.test("product() does not depend on order or grouping", () => {
  const factors = fc.array(
    fc.oneof(fc.nat(12), fc.constantFrom("batch", "length", "3*batch", "batch*length")),
    { maxLength: 6 },
  );
  const order = fc.array(fc.nat(), { minLength: 6, maxLength: 6 });
  fc.assert(fc.property(factors, order, fc.nat(6), (factors, order, cut) => {
    const expected = product(factors);
    const shuffled = factors.map((_, i) => i)
      .sort((a, b) => order[a]! - order[b]!)
      .map((i) => factors[i]!);
    deepStrictEqual(product(shuffled), expected);
    deepStrictEqual(product([product(factors.slice(0, cut)), ...factors.slice(cut)]), expected);
  }));
});

Deno.test("elementCount() multiplies dimensions, and a scalar has one element", () => {
  deepStrictEqual(elementCount([2, 3, 4]), 24);
  deepStrictEqual(elementCount([]), 1);
  deepStrictEqual(elementCount([5, 0]), 0);
});

for (
  const [a, b, expected] of [
    [["batch", 12, "length", 32], [32], ["batch", 12, "length", 32]],
    [["batch", 1, 1, "length"], [12, "length", 1], ["batch", 12, "length", "length"]],
    [[3, 1], [1, 4], [3, 4]],
    [[0], [1], [0]],
    [[], [2], [2]],
    [[], [], []],
  ] as [Shape, Shape, Shape][]
) {
  Deno.test(`broadcast() of ${formatShape(a)} and ${formatShape(b)} is ${formatShape(expected)}`, () => {
    deepStrictEqual(broadcast(a, b), expected);
    deepStrictEqual(broadcast(b, a), expected);
  });
}

Deno.test("broadcast() refuses dimensions that differ, and names both shapes", () => {
  for (const [a, b] of [[[2, 3], [2, 4]], [["batch"], ["length"]], [["batch", 2], [3, 1]]]) {
    throws(() => broadcast(a!, b!), {
      name: "RangeError",
      message: `Cannot broadcast ${formatShape(a!)} with ${formatShape(b!)}`,
    });
  }
});

Deno.test("broadcast() is commutative and takes a scalar or the same shape without change", () => {
  const attempt = (a: Shape, b: Shape) => {
    try {
      return broadcast(a, b);
    } catch {
      return "refused";
    }
  };
  fc.assert(fc.property(shape, shape, (a, b) => {
    deepStrictEqual(attempt(a, b), attempt(b, a));
    deepStrictEqual(broadcast(a, a), a);
    deepStrictEqual(broadcast(a, []), a);
  }));
});
