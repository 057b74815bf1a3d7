/**
 * A rule for `deno lint`: every export has a doc comment.
 *
 * @module
 */

const DECLARATIONS = new Set([
  "ClassDeclaration",
  "FunctionDeclaration",
  "TSInterfaceDeclaration",
  "TSTypeAliasDeclaration",
  "VariableDeclaration",
]);

/** The plugin, as `deno.json` names it. */
const plugin: Deno.lint.Plugin = {
  name: "graft",
  rules: {
    "require-docs": {
      create(context) {
        const { sourceCode } = context;
        return {
          ExportNamedDeclaration(node) {
            if (node.declaration == null || !DECLARATIONS.has(node.declaration.type)) return;
            const comment = sourceCode.getCommentsBefore(node).at(-1);
            if (comment?.type === "Block" && comment.value.startsWith("*")) return;
            context.report({ node, message: "An exported symbol needs a doc comment" });
          },
        };
      },
    },
  },
};

export default plugin;
