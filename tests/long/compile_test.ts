/**
 * The program that `deno task compile` makes, without its packing: its own files alone, under the
 * permissions that are built into it.
 *
 * @module
 */
import { deepStrictEqual, match } from "node:assert";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { inEmptyFolder, QUICK_START } from "../support/graft.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KEY = "a key that is long enough";

/** The words of the task: permissions, and the files that are included beside the modules. */
const WORDS = config.tasks.compile.command.split(" ");
const PERMISSIONS = WORDS.filter((word) => word.startsWith("--allow-"));
const INCLUDED = WORDS.filter((_, i) => WORDS[i - 1] === "--include");

/** The modules that a module imports, and it itself. */
async function modulesOf(entry: string): Promise<string[]> {
  const info = await run(ROOT, ["info", "--json", entry]);
  const { modules } = JSON.parse(info) as { modules: { local?: string }[] };
  return modules.flatMap(({ local }) => local?.startsWith(ROOT) ? local.slice(ROOT.length) : []);
}

/** Runs Deno, and gives its standard output. */
async function run(cwd: string, args: readonly string[]): Promise<string> {
  const command = new Deno.Command("deno", { args: [...args], cwd, env: QUICK_START });
  const { code, stdout, stderr } = await command.output();
  deepStrictEqual(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Copies the files that are packed into the program to a folder. */
async function pack(dir: string): Promise<void> {
  const entries = ["main.ts", ...INCLUDED.filter((path) => path.endsWith(".ts"))];
  const modules = await Promise.all(entries.map(modulesOf));
  for (
    const path of new Set([
      "deno.json",
      "web/deno.json",
      "deno.lock",
      ...modules.flat(),
      ...INCLUDED,
    ])
  ) {
    await copy(join(ROOT, path), join(dir, path));
  }
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isDirectory) {
    for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
    return;
  }
  await Deno.mkdir(dirname(to), { recursive: true });
  await Deno.copyFile(from, to);
}

Deno.test("deno task compile packs what the page and reports read, and the key may be read", async () => {
  await inEmptyFolder(async (dir) => {
    const program = join(dir, "program");
    await pack(program);
    const main = ["run", "--no-prompt", ...PERMISSIONS, join(program, "main.ts")];
    await run(dir, [...main, "data", "audit", join(program, "data/sample"), "--html", "a.html"]);
    match(await Deno.readTextFile(join(dir, "a.html")), /<style>/);

    const server = new Deno.Command("deno", {
      args: [...main, "serve", "--port", "0", "--workers", "0", "--device", "wasm"],
      cwd: dir,
      env: { ...QUICK_START, GRAFT_API_KEY: KEY },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    try {
      const address = await addressOf(server.stderr);
      const statuses = ["/", "/ui/app.js", "/ui/app.css", "/ui/icon.svg", "/v1/models"].map(
        async (path) => {
          const { status, body } = await fetch(address + path);
          await body?.cancel();
          return status;
        },
      );
      deepStrictEqual(await Promise.all(statuses), [200, 200, 200, 200, 401]);
    } finally {
      server.kill("SIGTERM");
      await server.status;
    }
  });
});

/** The address that a server writes on standard error, which is read to its end. */
async function addressOf(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of stderr.values({ preventCancel: true })) {
    text += new TextDecoder().decode(piece);
    const [, address] = /Listening on (\S+)/.exec(text) ?? [];
    if (address === undefined) continue;
    stderr.pipeTo(new WritableStream()).catch(() => {});
    return address;
  }
  throw new Error(`The server has ended: ${text}`);
}
