/**
 * Builds the page: first `web/openapi.ts`, the types of the server's routes, then the bundle in
 * `web/dist/`. With `--check` it writes the types and only checks that the bundle is up to date;
 * with `--types` it writes only the types.
 *
 * @module
 */
import openapiTS, { astToString } from "openapi-typescript";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalServer } from "../tests/support/local_server.ts";

const WEB = fileURLToPath(new URL("../web", import.meta.url));
const BUNDLE = join(WEB, "dist");

await Deno.writeTextFile(join(WEB, "openapi.ts"), await routeTypes());
if (Deno.args.includes("--check")) {
  const dir = await Deno.makeTempDir();
  try {
    await bundle(dir);
    const old = await differing(dir, BUNDLE);
    if (old.length > 0) {
      console.error(`${old.join(", ")}: not what the sources make; run 'deno task build:web'`);
      Deno.exit(1);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
} else if (!Deno.args.includes("--types")) {
  await bundle(BUNDLE);
}

async function routeTypes(): Promise<string> {
  await using server = await LocalServer.start();
  const response = await server.app.request("/openapi.json");
  const note = "// Made by `deno task build:web` from the server's routes.\n";
  return note + astToString(await openapiTS(await response.json(), { defaultNonNullable: false }));
}

/** Bundles with Deno's bundler: another version of Deno may make other bytes. */
async function bundle(dir: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("deno", {
    args: ["bundle", "--quiet", "--minify", "--platform=browser", `--outdir=${dir}`, "main.tsx"],
    cwd: WEB,
  }).output();
  if (success) return;
  console.error(new TextDecoder().decode(stderr));
  Deno.exit(1);
}

async function differing(made: string, committed: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(made)) {
    const content = await Deno.readTextFile(join(made, name));
    const other = await Deno.readTextFile(join(committed, name)).catch(() => "");
    if (content !== other) files.push(join(committed, name));
  }
  return files;
}
