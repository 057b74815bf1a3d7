/**
 * That what README and docs point to is there.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandsOf } from "./docs/blocks.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGES = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"],
  ...["examples/README.md", "onnx/README.md", "models/bundled/README.md", "bench/RESULTS.md"],
  ...(await Array.fromAsync(Deno.readDir(join(ROOT, "docs"))))
    .map(({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")),
].filter(isThere);
/** A path of the repository, as it stands in text: `training/fit.ts`. */
const PATH = /`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|tsx|md|py|json|css|wgsl))`/g;
const FOLDERS = new Set((await Array.fromAsync(Deno.readDir(ROOT))).map(({ name }) => name));

function isThere(path: string): boolean {
  try {
    Deno.statSync(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const headings = page.matchAll(/^#+ (.*)$/gm).map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} -]/gu, "").replaceAll(" ", "-")
    ),
  );
}

for (const path of PAGES) {
  Deno.test(`${path} points to what is there`, async () => {
    const page = await Deno.readTextFile(join(ROOT, path));
    const dead: string[] = [];
    for (const [, target] of page.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const [file, anchor] = target!.split("#");
      const linked = file === "" ? path : join(dirname(path), file!);
      const isDead = !isThere(linked) || anchor !== undefined && linked.endsWith(".md") &&
          !anchorsOf(await Deno.readTextFile(join(ROOT, linked))).has(anchor);
      if (isDead) dead.push(target!);
    }
    for (const [, named] of page.matchAll(PATH)) {
      if (FOLDERS.has(named!.split("/")[0]!) && !isThere(named!)) dead.push(named!);
    }
    deepStrictEqual(dead, []);
  });
}

Deno.test("README.md is short, and its figures stand with their commands in the results", async () => {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  ok(readme.split("\n").length <= 121);
  const results = await Deno.readTextFile(join(ROOT, "docs/results.md"));
  const figures = [...readme.matchAll(/\b0\.\d{3}\b/g)].map(([figure]) => figure);
  ok(figures.length > 0);
  deepStrictEqual(figures.filter((figure) => !results.includes(figure)), []);
});

Deno.test("commandsOf() takes blocks of sh, joined lines and what is printed", () => {
  const page = "```sh\na \\\n  b\n# out\nc   # why\n```\n```ts\nd\n```\n```sh check\ne\n```\n";
  deepStrictEqual(commandsOf(page), [
    { line: 2, text: "a b", printed: ["out"], isOnlyChecked: false },
    { line: 5, text: "c", printed: [], isOnlyChecked: false },
    { line: 11, text: "e", printed: [], isOnlyChecked: true },
  ]);
});
