import { deepStrictEqual, ok } from "node:assert";
import { contingencyOf, mcnemarP } from "./mcnemar.ts";

Deno.test("contingencyOf() counts texts by who was right", () => {
  deepStrictEqual(
    contingencyOf([true, true, true, false, false], [true, false, false, true, false]),
    { both: 1, first_only: 2, second_only: 1, neither: 1 },
  );
});

Deno.test("mcnemarP() gives SciPy's p-values, for many texts as well", () => {
  for (
    const [first_only, second_only, p] of [
      [5, 15, 0.04138946533203125],
      [6, 0, 0.03125],
      [10, 10, 1.0],
      [0, 0, 1.0],
      [30, 60, 0.0020602656809630745],
      [900, 1100, 8.45708953550381e-06],
      [100000, 101000, 0.02586239243973295],
    ] as const
  ) {
    const found = mcnemarP({ both: 7, first_only, second_only, neither: 9 });
    ok(Math.abs(found - p) <= 1e-6 * p, `${first_only}, ${second_only}: ${found}, not ${p}`);
  }
});
