/**
 * A rule for `deno lint`: imports point downwards, as docs/architecture.md draws them.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folders from the lowest up; each may import from itself and from those before it. */
const LAYERS = [
  ...["lib", "onnx/graph", "onnx", "data", "models", "training"],
  ...["orchestration", "serving", "routes", "cli"],
];
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The place of a file's folder among the layers; -1 outside them. */
function layerOf(file: string): number {
  const path = relative(ROOT, file).replaceAll("\\", "/");
  const holding = LAYERS.filter((folder) => path.startsWith(`${folder}/`));
  const nearest = holding.toSorted((a, b) => b.length - a.length)[0];
  return nearest === undefined ? -1 : LAYERS.indexOf(nearest);
}

/** The plugin, as `deno.json` names it. */
const plugin: Deno.lint.Plugin = {
  name: "graft-layers",
  rules: {
    "import-downwards": {
      create(context) {
        const { filename } = context;
        const own = layerOf(filename);
        const isTest = /_test\.tsx?$/.test(filename);
        const check = (source: Deno.lint.Node | null) => {
          if (source?.type !== "Literal" || typeof source.value !== "string") return;
          if (own === -1 || isTest || !source.value.startsWith(".")) return;
          const imported = layerOf(join(dirname(filename), source.value));
          if (imported <= own) return;
          const message = `${LAYERS[own]}/ may not import from ${LAYERS[imported]}/`;
          context.report({ node: source, message });
        };
        return {
          ImportDeclaration: ({ source }) => check(source),
          ImportExpression: ({ source }) => check(source),
          ExportNamedDeclaration: ({ source }) => check(source),
          ExportAllDeclaration: ({ source }) => check(source),
        };
      },
    },
  },
};

export default plugin;
