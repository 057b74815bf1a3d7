import { deepStrictEqual } from "node:assert";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
/** The modules that may be loaded only where a cluster is asked for. */
const CLUSTER_MODULES = /\/orchestration\/cluster\/|\/cli\/cluster_worker\.ts$/;

interface Module {
  specifier: string;
  dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[];
}

/** The modules that a root module loads; those of a cluster only if `withCluster` is set. */
async function loadedWith(root: string, withCluster: boolean): Promise<string[]> {
  const file = fileURLToPath(new URL(root, ROOT));
  const { stdout } = await new Deno.Command("deno", { args: ["info", "--json", file] }).output();
  const { modules }: { modules: Module[] } = JSON.parse(new TextDecoder().decode(stdout));
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const loaded = new Set([new URL(root, ROOT).href]);
  for (const specifier of loaded) {
    for (const { code, isDynamic = false } of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (code === undefined) continue;
      if (isDynamic && !withCluster && CLUSTER_MODULES.test(code.specifier)) continue;
      loaded.add(code.specifier);
    }
  }
  return [...loaded].filter((it) => it.includes("@nats-io/") || CLUSTER_MODULES.test(it));
}

for (const root of ["main.ts", "mod.ts"]) {
  Deno.test(`${root} loads no code of NATS where no cluster is asked for`, async () => {
    deepStrictEqual(await loadedWith(root, false), []);
    const all = await loadedWith(root, true);
    deepStrictEqual(all.some((it) => it.includes("@nats-io/transport-node")), true);
  });
}
