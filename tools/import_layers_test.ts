import { deepStrictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import plugin from "./import_layers.ts";

/** The messages for a line of a file. */
function messages(file: string, line: string): string[] {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  return Deno.lint.runPlugin(plugin, path, line).map(({ message }) => message);
}

Deno.test("import-downwards refuses an import from a layer above, in all its forms", () => {
  for (
    const line of [
      'import { a } from "../runtime/session.ts";',
      'import type { A } from "../runtime/session.ts";',
      'await import("../runtime/session.ts");',
      'export { a } from "../runtime/session.ts";',
      'export * from "../runtime/session.ts";',
    ]
  ) {
    deepStrictEqual(messages("onnx/graph/graph.ts", line), [
      "onnx/graph/ may not import from onnx/",
    ]);
  }
  deepStrictEqual(messages("lib/files.ts", 'import { a } from "../cli/main.ts";'), [
    "lib/ may not import from cli/",
  ]);
});

Deno.test("import-downwards takes imports from the same layer, from below, of packages and in tests", () => {
  for (
    const [file, from] of [
      ["onnx/graph/graph.ts", "./shape.ts"],
      ["onnx/runtime/session.ts", "../graph/graph.ts"],
      ["cli/main.ts", "../lib/files.ts"],
      ["lib/files.ts", "zod"],
      ["lib/files_test.ts", "../cli/main.ts"],
      ["bench/server.ts", "../cli/main.ts"],
    ] as const
  ) {
    deepStrictEqual(messages(file, `import { a } from "${from}";`), []);
  }
});
