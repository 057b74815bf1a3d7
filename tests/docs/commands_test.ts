/**
 * Runs the commands that README and docs show, each page in a folder of its own with small data.
 * Training ends after two steps there, and a server takes a free port.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { exists } from "../../lib/files.ts";
import { type Command, commandsOf } from "./blocks.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Parts of the repository that a page's folder does not need. */
const LEFT_OUT = new Set([".git", "docs", "examples", "node_modules", "runs", "tests"]);
const PAGES = ["README.md", ...await pagesOf("docs")];
const LABELS = ["billing", "hardware", "software"];

async function pagesOf(dir: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(ROOT, dir)));
  return entries.map(({ name }) => join(dir, name)).filter((path) => path.endsWith(".md")).sort();
}

for (const page of PAGES) {
  const commands = commandsOf(await Deno.readTextFile(join(ROOT, page)));
  if (commands.length === 0) continue;
  Deno.test(`the commands of ${page} work as they stand`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await writeFolder(dir);
      await using shell = new Shell(dir);
      for (const command of commands) await shell.run(command, `${page}:${command.line}`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** Runs commands, one after the other, and remembers what the next refers to. */
class Shell implements AsyncDisposable {
  readonly #dir: string;
  #server: Deno.ChildProcess | undefined;
  #address = "";
  /** The id that the last answer gave. */
  #id = "";

  constructor(dir: string) {
    this.#dir = dir;
  }

  async run(command: Command, place: string): Promise<void> {
    if (command.isOnlyChecked) return await this.#checkFlags(command.text, place);
    if (/deno task .*\bserve\b/.test(command.text)) return await this.#serve(command.text, place);
    if (/\btrain .*--resume/.test(command.text)) await this.#stopRun();
    const { code, output } = await this.#bash(this.#adapted(command.text));
    deepStrictEqual(code, 0, `${place}: ${command.text}\n${output}`);
    ok(!/"error":/.test(output), `${place}: ${command.text}\n${output}`);
    this.#id = /"id":"([\w-]+)"/.exec(output)?.[1] ?? this.#id;
    const flat = output.replaceAll(/\s+/g, " ");
    for (const line of command.printed) {
      ok(
        flat.includes(line.replaceAll(/\s+/g, " ")),
        `${place} does not print '${line}':\n${output}`,
      );
    }
  }

  /** Leaves a run as the last one that finished was before its first checkpoint. */
  async #stopRun(): Promise<void> {
    const runs = join(this.#dir, "runs");
    const finished: { dir: string; at: number }[] = [];
    for await (const { name, isDirectory } of Deno.readDir(runs)) {
      if (!isDirectory) continue;
      const { mtime } = await Deno.stat(join(runs, name, "metrics.json"));
      finished.push({ dir: join(runs, name), at: mtime!.getTime() });
    }
    const { dir } = finished.sort((a, b) => b.at - a.at)[0]!;
    const stopped = join(runs, "stopped");
    await Deno.mkdir(stopped);
    for (const name of ["training_args.json", "data"]) {
      if (await exists(join(dir, name))) await copy(join(dir, name), join(stopped, name));
    }
  }

  /** The command as it is run here. */
  #adapted(text: string): string {
    return text
      .replace("npx -y deno@2.9.6", "deno")
      .replace(/(deno task [^|]*\b(?:pre)?train\b)(?!.*(?:--help|--resume))/, "$1 --max-steps 2")
      .replace(/(deno task [^|]*\bruns (?:list|show))/, `$1 --server ${this.#address}`)
      .replaceAll("localhost:8000", this.#address.replace("http://", ""))
      .replaceAll(/^curl /g, "curl --silent --show-error --max-time 120 ")
      .replaceAll(/\bID\b/g, this.#id);
  }

  /** Every flag that a command of Graft's names is one that its help names. */
  async #checkFlags(text: string, place: string): Promise<void> {
    const [, task, rest] = /deno task(?: --quiet)? ([\w:]+)(.*)/.exec(text) ?? [];
    if (task === undefined) return;
    const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
    ok(task in tasks, `${place}: there is no task '${task}'`);
    const words = `${task === "native" ? "" : task} ${rest}`.trim().split(/\s+/);
    const flags = words.filter((word) => word.startsWith("--"));
    if (flags.length === 0) return;
    const command = words.slice(
      0,
      ["bench", "cluster", "data", "runs"].includes(words[0]!) ? 2 : 1,
    );
    const help = await this.#bash(`deno task --quiet ${command.join(" ")} --help`);
    for (const flag of flags) match(help.output, new RegExp(`${flag}\\b`), `${place}: ${flag}`);
  }

  async #serve(text: string, place: string): Promise<void> {
    const args = ["-c", `exec ${text} --port 0 --device wasm`];
    this.#server = new Deno.Command("bash", { args, ...this.#options(), stderr: "piped" }).spawn();
    let told = "";
    for await (const part of this.#server.stderr.pipeThrough(new TextDecoderStream())) {
      told += part;
      const address = /http:\/\/[\d.]+:\d+/.exec(told)?.[0];
      if (address === undefined) continue;
      this.#address = address;
      return;
    }
    throw new Error(`${place}: the server ended: ${told}`);
  }

  async #bash(text: string): Promise<{ code: number; output: string }> {
    const child = new Deno.Command("bash", {
      args: ["-o", "pipefail", "-c", text],
      ...this.#options(),
      stdout: "piped",
      stderr: "piped",
    });
    const { code, stdout, stderr } = await child.output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, output: decode(stdout) + decode(stderr) };
  }

  #options(): Deno.CommandOptions {
    const cache = join(this.#dir, "hub");
    const env = { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "1", NO_COLOR: "1" };
    return { cwd: this.#dir, env, stdin: "null", stdout: "null" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server === undefined) return;
    this.#server.kill("SIGTERM");
    await this.#server.status;
  }
}

/** A copy of the repository with the files that pages name. */
async function writeFolder(dir: string): Promise<void> {
  for await (const { name } of Deno.readDir(ROOT)) {
    if (!LEFT_OUT.has(name)) await copy(join(ROOT, name), join(dir, name));
  }
  const rows = Array.from({ length: 90 }, (_, i): [string, string] => {
    const label = LABELS[i % LABELS.length]!;
    return [`the ${label} of customer ${i} needs attention`, label];
  });
  const write = async (file: string, lines: string[]) => {
    await Deno.mkdir(dirname(join(dir, file)), { recursive: true });
    await Deno.writeTextFile(join(dir, file), `${lines.join("\n")}\n`);
  };
  const table = ["text,label", ...rows.map((row) => row.join(","))];
  await write("tickets.csv", [
    "Text;Label",
    ...rows.map(([text, label], i) => `${text};${i % 7 === 0 ? label.toUpperCase() : label}`),
  ]);
  await write("other.csv", table);
  await write("in.csv", table);
  await write("my_data/train.csv", table);
  await write("my_data/validation.csv", [
    "text,label",
    ...rows.map(([text, label]) => `my ${text},${label}`),
  ]);
  await write("my_data/test.csv", [
    "text,label",
    ...rows.map(([text, label]) => `our ${text},${label}`),
  ]);
  await write("raw.csv", [
    "title,body,topic",
    ...rows.map(([text, label]) => `${text},at once,${label}`),
  ]);
  await write("titles.txt", rows.map(([text]) => text));
  await write("corpus/a.txt", rows.map(([text]) => text));

  const bundled = join(ROOT, "models", "bundled");
  await copy(bundled, join(dir, "my_bert"));
  const hub = join(dir, "hub", "models--bert-base-cased");
  const commit = "0".repeat(40);
  await copy(bundled, join(hub, "snapshots", commit));
  await Deno.mkdir(join(hub, "refs"));
  await Deno.writeTextFile(join(hub, "refs", "main"), commit);
}

/** Copies a file or a folder; packages of native code are linked. */
async function copy(from: string, to: string): Promise<void> {
  if (relative(ROOT, from) === join("onnx", "native", "node_modules")) {
    return await Deno.symlink(from, to);
  }
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    if (name !== "node_modules" || from.endsWith("native")) {
      await copy(join(from, name), join(to, name));
    }
  }
}
