import { deepStrictEqual } from "node:assert";
import { problemFlag, quoted } from "./quoted.ts";

Deno.test("quoted() quotes what a shell would take apart", () => {
  deepStrictEqual(["runs/a-1", "my data", "it's"].map(quoted), [
    "runs/a-1",
    "'my data'",
    "'it'\\''s'",
  ]);
});

Deno.test("problemFlag() names every kind of problem but the default", () => {
  deepStrictEqual(problemFlag("regression"), " --problem-type regression");
  deepStrictEqual([problemFlag("single_label_classification"), problemFlag()], ["", ""]);
});
