/**
 * The common part of the peers on Deno: packages that only they use, and rounds that `PeerProcess`
 * asks for.
 *
 * @module
 */
import { createRequire } from "node:module";
import { textLines } from "../../../orchestration/job.ts";

/** Where `deno task install:peers` puts the packages. */
export const PEER_PACKAGES: URL = new URL("../node_modules/", import.meta.url);

// Not `import`, which would download missing packages and add them to the lock file.
const require = createRequire(import.meta.url);

/**
 * Runs a peer. It prints lines of JSON: first the versions of its packages, or the missing ones,
 * then for each line of standard input the measurements of that round.
 *
 * @param prepare Gets the packages in their order, and returns the function that measures a round.
 */
export async function runPeer(
  packages: readonly string[],
  // deno-lint-ignore no-explicit-any -- their types are where the packages are.
  prepare: (...loaded: any[]) => Promise<() => unknown>,
): Promise<void> {
  const versions = Object.fromEntries(packages.map((name) => [name, versionOf(name)]));
  const missing = packages.filter((name) => versions[name] === undefined);
  if (missing.length > 0) return printLine({ missing });
  const round = await prepare(...packages.map((name) => require(name)));
  printLine({ versions });
  for await (const _ of textLines(Deno.stdin.readable)) printLine(await round());
}

function versionOf(name: string): string | undefined {
  try {
    const file = new URL(`${name}/package.json`, PEER_PACKAGES);
    return JSON.parse(Deno.readTextFileSync(file)).version;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function printLine(value: unknown): void {
  console.log(JSON.stringify(value));
}
